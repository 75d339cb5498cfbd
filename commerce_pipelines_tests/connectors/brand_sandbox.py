"""The sandbox's brand system for its connector: seeds, effects, and somebody who meddles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.rate_budget import RateBudget, UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions

Show = Callable[..., None]


class Meddler:
    """A rate budget that lets somebody else do something before a request."""

    def __init__(self) -> None:
        self.requests = 0
        self.before: dict[int, Callable[[], object]] = {}

    def acquire(self) -> None:
        """Counts, and lets them."""
        self.requests += 1
        self.before.get(self.requests, int)()


def seeded(path: Path, brands: list[dict[str, Any]]) -> SandboxOptions:
    """Returns options of a sandbox with these brands."""
    path.write_text(json.dumps({"products": [], "brands": brands}))
    return SandboxOptions(port=0, rate_limit=False, seed=path)


@contextmanager
def opened(
    sandbox: RunningSandbox,
    budget: RateBudget | None = None,
    retry: RetryPolicy | None = None,
    **address: str,
) -> Iterator[BrandSystem]:
    """Opens a sandbox's brand system, at another address or with another key if given."""
    known = {**sandbox.addresses["brands"], **address}
    account = BrandSystem.open(
        url=known["url"],
        api_key=known["api_key"],
        budget=budget or UnlimitedBudget(),
        retry=retry,
    )
    yield account
    account.close()


def effects_in(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    """Returns what changed brands."""
    url = sandbox.addresses["faults"]["url"] + "/effects"
    effects: list[dict[str, Any]] = requests.get(
        url, params={"system": "brands"}, timeout=10
    ).json()
    return effects


def found(brands: BrandSystem, external_id: str) -> ForeignBrand:
    """Returns a brand that is there."""
    brand = brands.find(external_id)
    assert brand is not None
    return brand


def rename(brands: BrandSystem, external_id: str, name: str) -> ForeignBrand:
    """Gives a brand another name."""
    return brands.update(external_id, {"name": name}, found(brands, external_id).updated_at)
