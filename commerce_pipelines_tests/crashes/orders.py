"""A saga over the store and a system that cannot be sealed: reserve, place the order, book.

    reserve ──► place order ──► book
    store       elsewhere       store

It stands for every system without a condition of its own: only the settle time,
the look and the late-arrival audit keep such a system whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection, text

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.errors import Fenced, told
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, ExternalStep, Steps, TransactionalStep, Undo

KIND = "crash_order"
SETTLE_SECONDS = 1.5
LATE_SECONDS = 0.2
CREATE = "CREATE TABLE crash_stock (name text PRIMARY KEY, amount int, version int)"
FILL = "INSERT INTO crash_stock VALUES ('lamp', 10, 1), ('booked', 0, 1)"


@dataclass(frozen=True)
class Move(TransactionalStep):
    """Adds to a row of `crash_stock`, which a version guards."""

    name = "stock.move"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Adds; returns the version written."""
        version = connection.execute(
            text("""
                UPDATE crash_stock SET amount = amount + :amount, version = version + 1
                WHERE name = :name RETURNING version"""),
            plan,
        ).scalar_one()
        return {"version": version}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Takes back where the version is still ours."""
        restored = connection.execute(
            text("""
                UPDATE crash_stock SET amount = amount - :amount, version = version + 1
                WHERE name = :name AND version = :version"""),
            {**plan, **result},
        ).rowcount
        return Undo(superseded=restored == 0)


@dataclass(frozen=True)
class PlaceOrder(ExternalStep):
    """Places an order under the step's key as reference; its undo cancels it."""

    name = "orders.place"
    settle_seconds: ClassVar[float] = SETTLE_SECONDS
    http: HttpSession

    def act(self, plan: JSON, key: str) -> JSON:
        """Places it; a repeat finds the same order."""
        self.http.send("POST", "/orders", body=b'{"reference": "%b"}' % key.encode())
        return {"reference": key}

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Finds it by its reference."""
        return {"reference": key} if self._find(key) else None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Looks first: a cancelled order is not cancelled again."""
        order = self._find(key)
        if order is not None and order["state"] == "open":
            self.http.send("POST", "/cancel", body=b'{"reference": "%b"}' % key.encode())
        return Undo()

    def _find(self, key: str) -> JSON | None:
        order: JSON | None = self.http.get(f"/orders/{key}")["order"]
        return order


def steps(http: HttpSession) -> Steps:
    """Returns the steps by name."""
    return {Move.name: Move(), PlaceOrder.name: PlaceOrder(http)}


def export(ledger: Ledger, http: HttpSession, run_id: str, *, fails: bool) -> None:
    """Opens or joins the saga of one order and takes its steps; `fails` after the last."""
    saga_id = f"{KIND}-1"
    if not _exists(ledger, saga_id):
        with ledger.engine.begin() as connection:
            ledger.begin(connection, saga_id=saga_id, kind=KIND, lock_key="order-1", run_id=run_id)
    saga = Saga(ledger, ledger.join(saga_id, run_id))
    try:
        saga.take(Move(), {"name": "lamp", "amount": -1}, "reserve")
        saga.take(PlaceOrder(http), {})
        saga.take(Move(), {"name": "booked", "amount": 1}, "book")
        if fails:
            raise RuntimeError("the last step fails")
        saga.succeed()
    except Fenced:
        raise
    except Exception as error:
        saga.abort(told(error))


def _exists(ledger: Ledger, saga_id: str) -> bool:
    with ledger.engine.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM saga WHERE saga_id = :id"), {"id": saga_id})
        return found.scalar() is not None
