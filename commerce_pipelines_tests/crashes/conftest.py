"""The field on which the cases are done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines_tests.crashes.cases import Field, open_field
from commerce_pipelines_tests.crashes.erp_field import ErpField, open_erp_field
from commerce_pipelines_tests.databases import Databases


@pytest.fixture(scope="package")
def field(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Several grounds at once."""
    with open_field(databases, tmp_path_factory.mktemp("points")) as field:
        yield field


@pytest.fixture(scope="package")
def erp_field(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpField]:
    """Several grounds with an ERP at once."""
    with open_erp_field(databases, tmp_path_factory.mktemp("points")) as field:
        yield field
