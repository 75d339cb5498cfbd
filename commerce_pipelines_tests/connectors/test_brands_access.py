"""Who may ask the brand system, where, and how often."""

from __future__ import annotations

import time as real_time
from datetime import UTC, datetime

import pytest

from commerce_pipelines.connectors.brands import REQUESTS_PER_SECOND
from commerce_pipelines.connectors.rate_budget import SharedRateBudget
from commerce_pipelines.errors import NotFound, Unauthorised
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.connectors.brand_sandbox import opened


def test_a_wrong_key_is_told_by_every_call(sandbox: RunningSandbox) -> None:
    now = datetime.now(UTC)
    with opened(sandbox, api_key="canary-wrong") as brands:
        for call in (
            lambda: brands.fetch_changed(None),
            lambda: brands.find("b_1"),
            lambda: brands.create("x", None, None, "k"),
            lambda: brands.update("b_1", {"name": "x"}, now),
            lambda: brands.delete("b_1", now),
        ):
            with pytest.raises(Unauthorised) as raised:
                call()
            assert "canary" not in str(raised.value)


def test_an_address_that_knows_nothing_of_brands_says_nothing_about_a_brand(
    sandbox: RunningSandbox,
) -> None:
    elsewhere = sandbox.addresses["brands"]["url"] + "/v2"
    with opened(sandbox, url=elsewhere) as brands, pytest.raises(NotFound):
        brands.find("b_1")


def test_requests_wait_for_their_turn_in_the_shared_budget(
    sandbox: RunningSandbox, postgres_url: str
) -> None:
    budget = SharedRateBudget(postgres_url, system="brands", per_second=REQUESTS_PER_SECOND)
    with opened(sandbox, budget) as brands:
        started = real_time.monotonic()
        for _ in range(2 * REQUESTS_PER_SECOND + 1):
            assert brands.find("b_none") is None
        assert real_time.monotonic() - started >= 2.0
    budget.close()


def test_a_rate_that_was_exceeded_all_the_same_is_waited_for() -> None:
    with RunningSandbox(SandboxOptions(port=0)) as sandbox, opened(sandbox) as brands:
        for _ in range(REQUESTS_PER_SECOND + 5):
            assert brands.find("b_none") is None
