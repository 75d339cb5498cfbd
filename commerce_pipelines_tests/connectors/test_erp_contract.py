"""The adapter `rest` passes the port's cases on the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.connectors.erp_cases import ErpCases
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    """One sandbox for all cases: each makes what it needs."""
    with RunningSandbox(SandboxOptions(port=0, rate_limit=False)) as sandbox:
        yield sandbox


@pytest.fixture
def world(running: RunningSandbox) -> Iterator[SandboxWorld]:
    """The sandbox's ERP and its people."""
    erp = open_sandbox_erp(running.addresses)
    yield SandboxWorld(running.addresses, erp)
    erp.close()


class TestRest(ErpCases):
    """The cases."""
