"""Endpoints of both kinds, and a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.pim_import import PimImport
from commerce_pipelines_tests.endpoint.buying import Buying, shop
from commerce_pipelines_tests.endpoint.running import Endpoint, settings, working


@pytest.fixture
def endpoint(postgres_url: str) -> Iterator[Endpoint]:
    """An endpoint that wants signatures."""
    with Endpoint(settings(postgres_url)) as running:
        yield running


@pytest.fixture
def local(postgres_url: str) -> Iterator[Endpoint]:
    """An endpoint that takes unsigned requests from this machine."""
    with Endpoint(settings(postgres_url, endpoint_unsigned_loopback=True)) as running:
        yield running


@pytest.fixture
def flow(ledger: Ledger, sanity: Sanity) -> PimImport:
    """The import, to be run by hand."""
    return PimImport(ledger, sanity, "run-1")


@pytest.fixture
def worker(flow: PimImport) -> Iterator[None]:
    """Somebody who imports what waits."""
    with working(flow):
        yield


@pytest.fixture
def buying(postgres_url: str, engine: Engine) -> Iterator[Buying]:
    """A shop that takes unsigned requests, and waits for its ERP on a busy machine."""
    with shop(postgres_url, engine, pricing_budget_seconds=5.0) as running:
        yield running


@pytest.fixture
def buying_in_time(postgres_url: str, engine: Engine) -> Iterator[Buying]:
    """The same, waiting for the ERP as long as it does by default."""
    with shop(postgres_url, engine) as running:
        yield running
