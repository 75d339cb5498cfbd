"""A real Tryton for the tests that ask for one with `-m tryton`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines_tests.tryton.installed import CannotInstall, environment
from commerce_pipelines_tests.tryton.server import TrytonServer
from commerce_pipelines_tests.tryton.world import TrytonWorld

# Whichever test comes first waits for the installation.
_PATIENCE_SECONDS = 1800


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests of this folder the time that an installation takes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_PATIENCE_SECONDS))


@pytest.fixture(scope="session")
def tryton(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """A Tryton that is served, seeded with a company and its web shop."""
    try:
        installed = environment()
    except CannotInstall as error:
        pytest.fail(str(error), pytrace=False)
    server = TrytonServer(installed, tmp_path_factory.mktemp("tryton"), server_url)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def erp(tryton: TrytonServer) -> Iterator[Tryton]:
    """The adapter, patient for some seconds."""
    opened = open_tryton(tryton)
    yield opened
    opened.close()


@pytest.fixture
def world(tryton: TrytonServer, erp: Tryton) -> Iterator[TrytonWorld]:
    """Tryton with people in front of it; tests share it, so each makes what it needs."""
    opened = TrytonWorld(tryton, erp)
    yield opened
    opened.people.close()


def open_tryton(
    server: TrytonServer,
    *,
    key: str | None = None,
    shop: str = "Shop",
    kind: type[Tryton] = Tryton,
) -> Tryton:
    """Returns an adapter."""
    return kind.open(
        url=server.url,
        api_key=key or server.seeded["key"],
        shop=shop,
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=5.0, first_wait_seconds=0.05, longest_wait_seconds=0.5),
    )
