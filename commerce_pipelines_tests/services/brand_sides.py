"""Both sides of the brands: the store with its sync and push, and the brand system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import requests
from sqlalchemy import text

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.brands import StoredBrand, WantedBrand
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.sandbox.server import Addresses
from commerce_pipelines.services import brand_push, brand_sync, recovery
from commerce_pipelines.services.brand_push import BrandPush
from commerce_pipelines.services.brand_sync import BrandSync
from commerce_pipelines.store import brands
from commerce_pipelines_tests.sandbox.brand_caller import BrandCaller


@dataclass
class Sides:
    """The store and the brand system.

    Attributes:
        there: The brand system as its own people use it.
    """

    ledger: Ledger
    brand_system: BrandSystem
    there: BrandCaller
    faults_url: str
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def sync(self, run_id: str | None = None, *, whole: bool = False) -> JSON:
        """Syncs once, all if asked to, and returns what was done."""
        flow = BrandSync(self.ledger, self.brand_system, run_id or f"sync-{next(self._numbers)}")
        retrieved = flow.retrieve(whole=whole)
        if retrieved.changes_nothing:
            return {"rejected": retrieved.rejected}
        decision = flow.decide(retrieved)
        if decision.saga_id is None:
            return {"rejected": retrieved.rejected}
        created = flow.create(decision.saga_id, retrieved)
        updated = flow.update(decision.saga_id, retrieved)
        return {"saga_id": decision.saga_id, "rejected": retrieved.rejected, **created, **updated}

    def push(self, run_id: str = "push") -> list[JSON]:
        """Pushes all that waits; returns what was done."""
        flow = BrandPush(self.ledger, self.brand_system, run_id)
        pushed = []
        while saga_id := flow.claim():
            pushed.append(flow.push(saga_id))
        return pushed

    def save(self, name: str, **facts: Any) -> StoredBrand:
        """Creates or changes a brand of the store as its people do."""
        with self.ledger.engine.begin() as connection:
            return brand_push.create_brand(connection, WantedBrand(name=name, **facts))[0]

    def rename(self, brand_id: str, name: str) -> StoredBrand:
        """Gives a brand of the store another name."""
        with self.ledger.engine.begin() as connection:
            return brand_push.change_brand(connection, brand_id, WantedBrand(name=name))

    def recover(self) -> dict[str, int]:
        """Undoes all that is due, after all waiting times have passed."""
        self.change("UPDATE saga SET next_try_at = now()")
        self.change(
            "UPDATE saga SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"
        )
        kinds = {
            brand_sync.KIND: brand_sync.steps(),
            brand_push.KIND: brand_push.steps(self.brand_system),
        }
        return dict(recovery.sweep(Compensator(self.ledger, kinds), "sweep"))

    def make_due(self) -> None:
        """Lets the time until each next try of a message have passed."""
        self.change("UPDATE message SET next_try_at = now()")

    def here(self) -> list[StoredBrand]:
        """Returns the store's brands in the order of their names."""
        with self.ledger.engine.connect() as connection:
            found = brands.list_brands(connection, after="", limit=100_000)
        return sorted(found, key=lambda brand: brand.name)

    def names_here(self) -> list[str]:
        """Returns the names of the store's brands in order."""
        return [brand.name for brand in self.here()]

    def names_there(self) -> list[str]:
        """Returns the names of the other side's brands in order."""
        return sorted(brand["name"] for brand in self.there.page(limit=500)["brands"])

    def keys_of_creations(self) -> list[str]:
        """Returns the idempotency keys under which we have created brands there."""
        answer = requests.get(
            f"{self.faults_url}/effects", params={"system": "brands"}, timeout=30
        ).json()
        keys = [str(effect.get("idempotency_key")) for effect in answer]
        return [key for key in keys if key.startswith(brand_push.KIND)]

    def fault(self, kind: str, **more: Any) -> None:
        """Puts a fault of the brand system into force."""
        fault = {"kind": kind, "system": "brands", **more}
        requests.post(self.faults_url, json=fault, timeout=30).raise_for_status()

    def heal(self) -> None:
        """Ends all faults."""
        requests.delete(self.faults_url, timeout=30).raise_for_status()

    def requests(self) -> int:
        """Returns how many requests the brand system has had."""
        answer = requests.get(f"{self.faults_url}/requests", timeout=30).json()
        return sum(each["count"] for each in answer if "/brands" in each["route"])

    def change(self, statement: str, **names: object) -> None:
        """Changes rows."""
        with self.ledger.engine.begin() as connection:
            connection.execute(text(statement), names)

    def rows(self, query: str, **names: object) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self.ledger.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), names)]


@contextmanager
def both_sides(ledger: Ledger, addresses: Addresses, *, empty: bool = True) -> Iterator[Sides]:
    """Opens both sides, with no brand on either, or with the other side's samples there."""
    address = addresses["brands"]
    system = BrandSystem.open(
        url=address["url"],
        api_key=address["api_key"],
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=0.5, first_wait_seconds=0.01, longest_wait_seconds=0.1),
    )
    there = BrandCaller(addresses)
    if empty:
        there.empty()
    yield Sides(ledger, system, there, addresses["faults"]["url"])
    there.session.close()
    system.close()
