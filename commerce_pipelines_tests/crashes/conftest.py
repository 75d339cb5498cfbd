"""The field on which the cases are done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines_tests.crashes.cases import Field, open_field
from commerce_pipelines_tests.crashes.ground import Grounds
from commerce_pipelines_tests.databases import Databases


@pytest.fixture(scope="module")
def field(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Several grounds at once."""
    with open_field(Grounds(databases, tmp_path_factory.mktemp("points"))) as field:
        yield field
