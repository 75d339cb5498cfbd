"""An empty catalogue in the test's database."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from commerce_pipelines_tests.store.catalog import Catalog


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    """A store without products."""
    return Catalog(engine)
