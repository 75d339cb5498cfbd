"""A shop over a real store and a Sanity that is asked once, and a person with a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.cli.conftest import Commands
from commerce_pipelines_tests.parked.person import Person
from commerce_pipelines_tests.parked.scene import Scene
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import InterruptedSanity, Shop

OpenSanity = Callable[..., InterruptedSanity]


@pytest.fixture
def open_sanity(sandbox: RunningSandbox) -> Iterator[OpenSanity]:
    """Opens Sanity, with another token or dataset if asked to."""
    opened: list[InterruptedSanity] = []

    def open_(**changes: str) -> InterruptedSanity:
        address = {**sandbox.addresses["sanity"], **changes}
        retry = RetryPolicy(budget_seconds=0.0)
        opened.append(InterruptedSanity.open(**address, budget=UnlimitedBudget(), retry=retry))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def scene(ledger: Ledger, sandbox: RunningSandbox, open_sanity: OpenSanity) -> Scene:
    """The shop before the import."""
    scene = Scene(Shop(ledger, open_sanity()), Cms(sandbox.addresses))
    scene.start()
    return scene


@pytest.fixture
def person(postgres_url: str, sandbox: RunningSandbox, tmp_path: Path) -> Person:
    """Somebody with the settings of the stack."""
    sanity = sandbox.addresses["sanity"]
    settings = {
        "COMMERCE_HOME": str(tmp_path / "home"),
        "POSTGRES_URL": postgres_url,
        "SANITY_URL": sanity["url"],
        "SANITY_PROJECT_ID": sanity["project_id"],
        "SANITY_DATASET": sanity["dataset"],
        "SANITY_SECRET_TOKEN": sanity["token"],
        "BRANDS_URL": sandbox.addresses["brands"]["url"],
        "BRANDS_API_KEY": sandbox.addresses["brands"]["api_key"],
        "ERP_URL": sandbox.addresses["erp"]["url"],
        "ERP_API_KEY": sandbox.addresses["erp"]["api_key"],
    }
    return Person(Commands(settings), settings)
