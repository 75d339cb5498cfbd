"""A product's update in a child process, killed at a point; and what must be true afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import Addresses
from commerce_pipelines.services import product_update, recovery
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.points import Points, Stop
from commerce_pipelines_tests.crashes.traced import TracedHttp, trace_statements
from commerce_pipelines_tests.databases import Databases
from commerce_pipelines_tests.services.erp_side import Side

LEASE_SECONDS = 20.0
RUN = "run-1"
MOST_SWEEPS = 20


@dataclass(frozen=True)
class Errand:
    """What a child is sent to do.

    Attributes:
        erp: The ERP's address and key.
        notes: File for the names of the points.
        stop: Where it dies.
    """

    postgres_url: str
    erp: dict[str, str]
    notes: Path
    stop: Stop | None


def run(errand: Errand) -> None:
    """Makes a waiting change, and undoes it at once where it fails; goes on where it was."""
    points = Points(errand.notes, errand.stop)
    engine = connect(errand.postgres_url, pool_size=2, application="crash")
    trace_statements(engine, points, {})
    http = TracedHttp(
        errand.erp["url"],
        secret_headers={"Authorization": f"Bearer {errand.erp['api_key']}"},
        retry=RetryPolicy(budget_seconds=0.0),
    )
    http.points = points
    ledger, erp = Ledger(engine, LEASE_SECONDS), RestErp(http, UnlimitedBudget())
    flow = ProductUpdate(ledger, erp, RUN)
    with suppress(CommerceError):
        while saga_id := _begun(ledger) or flow.claim():
            flow.update(saga_id)
        return
    kinds = {product_update.KIND: product_update.steps(erp, ledger)}
    recovery.compensate_run(Compensator(ledger, kinds), RUN)


@dataclass
class Ground:
    """A product on both sides, and a change of everything that waits."""

    side: Side
    postgres_url: str
    addresses: Addresses
    directory: Path

    def __post_init__(self) -> None:
        with self.side.ledger.engine.begin() as connection:
            wish = ProductChanges.model_validate(self.side.big())
            product_update.ask(connection, self.side.product_id, wish)
        self.dump = self.side.catalog.dump()
        self.before = self.view()

    def send(self, stop: int | None = None) -> tuple[int, list[str]]:
        """Sends a child; returns how it ended and the points that it passed."""
        notes = self.directory / uuid4().hex
        at = None if stop is None else Stop(stop)
        errand = Errand(self.postgres_url, self.addresses["erp"], notes, at)
        child = Child(run, errand)
        return child.finish(), child.points()

    def view(self) -> Any:
        """Returns what both sides say, without the ids of what is new."""
        there = self.side.there.details
        skus = {each.external_id: each.sku for each in there.variants}
        product = self.side.catalog.rows(
            "SELECT title, description FROM product WHERE id = :id", id=self.side.product_id
        )
        variants = self.side.catalog.rows(
            """SELECT title, sku, options::text,
                      (SELECT external_id FROM external_id
                       WHERE internal_id = variant.id AND system = 'erp')
               FROM variant WHERE product_id = :id ORDER BY position""",
            id=self.side.product_id,
        )
        here = [(*row, skus.get(theirs, "?")) for *row, theirs in variants]
        listed = sorted((v.sku or "", v.title, v.options) for v in there.variants)
        return product, here, (there.title, there.description, listed)

    def recover(self) -> None:
        """Sweeps until nothing is half-done, after the owner's lease has run out."""
        for _ in range(MOST_SWEEPS):
            self.side.catalog.execute("UPDATE message SET next_try_at = now()")
            self.side.catalog.execute(
                "UPDATE saga SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"
            )
            self.side.recover()
            if not self.live():
                return

    def live(self) -> list[Any]:
        """Returns the sagas that are not finished."""
        return self.side.catalog.values(
            "SELECT saga_id FROM saga WHERE status IN ('running', 'aborting', 'parked')"
        )

    def violations(self) -> list[str]:
        """Returns what is true of no case: an effect without its intent, twice, half done."""
        known = set(self.side.catalog.values("SELECT idem_key FROM saga_step"))
        keys = [
            str(each["key"])
            for each in self.side.world.effects("product.update")
            if each["product_id"] == self.side.erp_id
        ]
        found = {
            "I1": [key for key in keys if key.split("-undo-")[0] not in known],
            "I2": [key for key, times in Counter(keys).items() if times > 1],
            "I9": self.live(),
        }
        return [f"{name}: {seen}" for name, seen in found.items() if seen]


@contextmanager
def lent(databases: Databases, addresses: Addresses, directory: Path) -> Iterator[Ground]:
    """Lends ground for one case."""
    erp = open_sandbox_erp(addresses, patience_seconds=0.0)
    with databases.migrated() as postgres_url:
        engine = connect(postgres_url, pool_size=2)
        world = SandboxWorld(addresses, erp)
        for what in ("", "/effects", "/state"):
            world.ask("DELETE", what)
        yield Ground(
            Side(Ledger(engine, LEASE_SECONDS), erp, world), postgres_url, addresses, directory
        )
        engine.dispose()
    erp.close()


def _begun(ledger: Ledger) -> str | None:
    """Returns the running saga that an earlier process of this run has opened."""
    with ledger.engine.connect() as connection:
        return connection.execute(
            text("""
                SELECT saga_id FROM saga
                WHERE kind = :kind AND last_run_id = :run AND status = 'running'"""),
            {"kind": product_update.KIND, "run": RUN},
        ).scalar_one_or_none()
