"""A shop over a real store and the sandbox's Sanity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import InterruptedSanity, Shop


@pytest.fixture
def cms(sandbox: RunningSandbox) -> Cms:
    """Sanity as its editors see it."""
    return Cms(sandbox.addresses)


@pytest.fixture
def shop(ledger: Ledger, sanity: Sanity) -> Shop:
    """The flow over an empty store and an empty dataset."""
    return Shop(ledger, sanity)


@pytest.fixture
def interrupted(sandbox: RunningSandbox) -> Iterator[InterruptedSanity]:
    """The same Sanity, asked once, where something happens between reading and writing."""
    address = sandbox.addresses["sanity"]
    opened = InterruptedSanity.open(
        url=address["url"],
        project_id=address["project_id"],
        dataset=address["dataset"],
        token=address["token"],
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=0.0),
    )
    yield opened
    opened.close()
