"""Dagster in this process."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster without a home."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
