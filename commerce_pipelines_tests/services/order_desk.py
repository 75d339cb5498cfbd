"""The store with its orders, and the ERP that they go to and that speaks of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from commerce_pipelines.domain.order_updates import as_update
from commerce_pipelines.domain.orders import ErpOrder
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services import recovery
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines.services.order_status_import import TOPIC, OrderStatusImport, parts
from commerce_pipelines.store import messages
from commerce_pipelines.store.orders import show_order
from commerce_pipelines_tests.orders import FakeErp, place_order


@dataclass
class Desk:
    """The store with its exports, and the ERP."""

    ledger: Ledger
    erp: FakeErp = field(default_factory=FakeErp)

    def place(self, order_id: str = "order_1", **changes: Any) -> str:
        """Places an order."""
        with self.ledger.engine.begin() as connection:
            return place_order(connection, order_id, **changes)

    def export(self, run_id: str = "run") -> list[JSON]:
        """Exports all that waits; returns what was done."""
        flow = OrderExport(self.ledger, self.erp, run_id)
        done = []
        while saga_id := flow.claim():
            done.append(flow.export(saga_id))
        return done

    def fails(self) -> CommerceError:
        """Exports what waits, and returns the error with which that fails."""
        with pytest.raises(CommerceError) as caught:
            self.export()
        return caught.value

    def recover(self) -> dict[str, int]:
        """Undoes and finishes all that is due, after all waiting times have passed."""
        self.change("UPDATE saga SET next_try_at = now()")
        self.change("UPDATE saga_step SET settle_at = now()")
        self.change("UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL")
        self.change("UPDATE saga SET lease_until = now() - interval '1 s' WHERE holder IS NOT NULL")
        self.change("UPDATE message SET next_try_at = now()")
        sanity: Any = None
        return dict(recovery.sweep(recovery.compensator(self.ledger, sanity, None, self.erp), "s"))

    def deliver(self, webhook_id: str, *orders: JSON | ErpOrder) -> messages.Receipt:
        """Has the ERP tell of orders."""
        told = [as_update(each) if isinstance(each, ErpOrder) else each for each in orders]
        body = json.dumps({"type": "order.updated", "orders": told}).encode()
        with self.ledger.engine.begin() as connection:
            return messages.receive(connection, "erp", webhook_id, TOPIC, parts(body))

    def apply(self) -> Counter[str]:
        """Applies all that waits; returns how many words came to what."""
        flow = OrderStatusImport(self.ledger, "run")
        counts: Counter[str] = Counter()
        while saga_id := flow.claim():
            counts += flow.apply(saga_id)
        return counts

    def exported(self, order_id: str = "order_1", **changes: Any) -> ErpOrder:
        """Places an order and exports it; returns the ERP's."""
        self.place(order_id, **changes)
        self.export()
        (there,) = [each for each in self.erp.standing() if each.reference == order_id]
        return there

    def somebody_cancels(self) -> None:
        """Has somebody in the ERP cancel the first order."""
        self.erp.change("o-1", "cancelled")

    def show(self, order_id: str = "order_1") -> Any:
        """Returns an order as readers see it."""
        with self.ledger.engine.connect() as connection:
            return show_order(connection, order_id)

    def change(self, statement: str, **names: object) -> None:
        """Changes rows."""
        with self.ledger.engine.begin() as connection:
            connection.execute(text(statement), names)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self.ledger.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
