"""An empty catalogue and an empty inbox in the test's database."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from commerce_pipelines_tests.store.catalog import Catalog
from commerce_pipelines_tests.store.inbox import Inbox


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    """A store without products."""
    return Catalog(engine)


@pytest.fixture
def inbox(engine: Engine) -> Inbox:
    """An empty inbox."""
    return Inbox(engine)
