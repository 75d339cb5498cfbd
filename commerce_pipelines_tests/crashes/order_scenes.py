"""Orders in a child process, killed or frozen at a point; and what must be true afterwards.

Two scenes: an order is exported (it may be refused at its confirmation, and is then undone
at once, as the hook does), and the ERP's word on another one is imported.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.orders import ErpOrder
from commerce_pipelines.errors import CommerceError, Fenced, Refused
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import Addresses
from commerce_pipelines.services import order_export, order_status_import, recovery
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines.services.order_status_import import OrderStatusImport
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.points import Points, Stop
from commerce_pipelines_tests.crashes.traced import TracedHttp, trace_statements
from commerce_pipelines_tests.databases import Databases
from commerce_pipelines_tests.orders import PLACED_AT
from commerce_pipelines_tests.services.order_desk import Desk

LEASE_SECONDS = 20.0
LATE_SECONDS = 0.3
RUN = "run-1"
MOST_SWEEPS = 20


@dataclass(frozen=True)
class Errand:
    """What a child is sent to do.

    Attributes:
        kind: Of the saga.
        refuses: Whether the ERP refuses to confirm.
        erp: The ERP's address and key.
        notes: File for the names of the points.
        stop: Where it dies or freezes.
    """

    kind: str
    refuses: bool
    postgres_url: str
    erp: dict[str, str]
    notes: Path
    stop: Stop | None


def run(errand: Errand) -> None:
    """Does what waits, and undoes it at once where it fails; goes on where it was."""
    points = Points(errand.notes, errand.stop)
    engine = connect(errand.postgres_url, pool_size=2, application="crash")
    trace_statements(engine, points, {})
    http = TracedHttp(
        errand.erp["url"],
        secret_headers={"Authorization": f"Bearer {errand.erp['api_key']}"},
        retry=RetryPolicy(budget_seconds=0.0),
    )
    http.points = points
    erp = (RefusingErp if errand.refuses else RestErp)(http, UnlimitedBudget())
    ledger = Ledger(engine, LEASE_SECONDS)
    with suppress(CommerceError):
        while saga_id := _begun(ledger, errand.kind) or _claim(ledger, erp, errand.kind):
            if errand.kind == order_export.KIND:
                OrderExport(ledger, erp, RUN).export(saga_id)
            else:
                OrderStatusImport(ledger, RUN).apply(saga_id)
        return
    with suppress(Fenced):
        recovery.compensate_run(compensator(ledger, erp), RUN)


class RefusingErp(RestErp):
    """An ERP that confirms nothing."""

    def confirm_order(self, external_id: str) -> ErpOrder:
        """Refuses."""
        raise Refused(f"order {external_id}: the customer owes too much")


def compensator(ledger: Ledger, erp: RestErp) -> Compensator:
    """Returns what undoes and finishes the sagas of all kinds."""
    sanity: Any = None
    return recovery.compensator(ledger, sanity, None, erp)


@dataclass
class Ground:
    """An order that waits to be exported, and the ERP's word on one that is exported."""

    desk: Desk
    erp: RestErp
    world: SandboxWorld
    postgres_url: str
    addresses: Addresses
    directory: Path
    order_id: str = field(default_factory=lambda: f"order_{uuid4().hex}")
    other_id: str = field(default_factory=lambda: f"order_{uuid4().hex}")
    late_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.desk.place(self.other_id)
        self.export("earlier")
        other = self.standing(self.other_id)[0]
        self.world.advance(other, "shipped")
        self.world.ask("DELETE", "/effects")
        self.desk.place(self.order_id)
        shipped = self.erp.find_order(self.other_id)
        assert shipped is not None
        self.desk.deliver("shipped", shipped)

    def send(self, kind: str, stop: Stop | None = None, *, refuses: bool = False) -> Child:
        """Starts a child."""
        notes = self.directory / uuid4().hex
        errand = Errand(kind, refuses, self.postgres_url, self.addresses["erp"], notes, stop)
        return Child(run, errand)

    def finish(
        self, kind: str, stop: Stop | None = None, *, refuses: bool = False
    ) -> tuple[int, list[str]]:
        """Sends a child and waits for it; returns how it ended and the points it passed."""
        child = self.send(kind, stop, refuses=refuses)
        return child.finish(), child.points()

    def export(self, run_id: str) -> None:
        """Exports what waits."""
        flow = OrderExport(self.desk.ledger, self.erp, run_id)
        while saga_id := flow.claim():
            flow.export(saga_id)

    def standing(self, order_id: str) -> list[str]:
        """Returns the ERP's orders under a reference that are not cancelled."""
        listed = self.erp.fetch_orders(*_AROUND)
        return [
            each.external_id
            for each in listed
            if isinstance(each, ErpOrder)
            and each.reference == order_id
            and each.status != "cancelled"
        ]

    def recover(self) -> None:
        """Sweeps until nothing is half-done, after leases and settle times have run out."""
        time.sleep(self.late_seconds)
        for _ in range(MOST_SWEEPS):
            self.desk.change("UPDATE saga_step SET settle_at = now() WHERE settle_at IS NOT NULL")
            self.desk.change("UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL")
            self.desk.change("UPDATE saga SET next_try_at = now()")
            self.desk.change(
                "UPDATE saga SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"
            )
            recovery.sweep(compensator(self.desk.ledger, self.erp), "sweep")
            if not self.live():
                return

    def live(self) -> list[Any]:
        """Returns the sagas that are not finished."""
        return self.desk.rows(
            "SELECT saga_id, status, reason FROM saga WHERE status NOT IN "
            "('succeeded', 'compensated')"
        )

    def drained(self) -> list[str]:
        """Lets all that waits be done, and returns what is not as it should be then."""
        self.desk.change("UPDATE message SET next_try_at = now()")
        self.export("drain")
        self.desk.apply()
        return [*self.halves(), *self.violations(), *self._missing()]

    def _missing(self) -> list[str]:
        waiting = self.desk.rows("SELECT id, state, last_error FROM message WHERE state <> 'done'")
        links = self.desk.rows("SELECT internal_id FROM external_id WHERE entity = 'order'")
        found = [f"messages left: {waiting}"] if waiting else []
        if sorted(links) != sorted([(self.order_id,), (self.other_id,)]):
            found.append(f"I3: linked are {links}")
        if self.desk.show(self.other_id).status != "shipped":
            found.append("I3: the ERP's word was lost")
        return found

    def halves(self) -> list[str]:
        """Returns where one side has the order and the other has not."""
        here = self.desk.show(self.order_id)
        there = self.erp.find_order(self.order_id)
        is_there = there is not None and there.status != "cancelled"
        expected = ("confirmed", there.external_id) if there and is_there else ("placed", None)
        found = []
        if (here.status, here.erp_id) != expected:
            found.append(f"I4: {here.status}, {here.erp_id} here, {there} there")
        if is_there and there and there.status != "confirmed":
            found.append(f"I4: a draft is left: {there}")
        other = self.desk.rows(
            "SELECT status, (SELECT count(*) FROM order_revision WHERE order_id = id "
            f"AND undone_at IS NULL) FROM store_order WHERE id = '{self.other_id}'"
        )
        if other not in ([("confirmed", 1)], [("shipped", 2)]):
            found.append(f"I4: the other order is {other}")
        return found

    def violations(self) -> list[str]:
        """Returns what is true of no case: two orders, a confirmed one cancelled, half done."""
        effects = [
            (each["kind"], each["order_id"])
            for each in self.world.effects()
            if each.get("reference") == self.order_id
        ]
        confirmed = {order for kind, order in effects if kind == "order.confirm"}
        cancelled = {order for kind, order in effects if kind == "order.cancel"}
        standing = self.standing(self.order_id)
        found = {
            "two orders": standing if len(standing) > 1 else [],
            "a confirmed order was cancelled": sorted(confirmed & cancelled),
            "I2": [each for each, times in Counter(effects).items() if times > 1],
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
        desk = Desk(Ledger(engine, LEASE_SECONDS))
        yield Ground(desk, erp, world, postgres_url, addresses, directory)
        engine.dispose()
    erp.close()


def _claim(ledger: Ledger, erp: RestErp, kind: str) -> str | None:
    if kind == order_export.KIND:
        return OrderExport(ledger, erp, RUN).claim()
    return OrderStatusImport(ledger, RUN).claim()


def _begun(ledger: Ledger, kind: str) -> str | None:
    """Returns the running saga that an earlier process of this run has opened."""
    with ledger.engine.connect() as connection:
        return connection.execute(
            text("""
                SELECT saga_id FROM saga
                WHERE kind = :kind AND last_run_id = :run AND status = 'running'"""),
            {"kind": kind, "run": RUN},
        ).scalar_one_or_none()


_AROUND = (PLACED_AT - timedelta(days=1), PLACED_AT + timedelta(days=1))
KINDS = (order_export.KIND, order_status_import.KIND)
