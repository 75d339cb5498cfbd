"""Endpoints of both kinds, and a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.pim_import import PimImport
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
