"""Orders that are exported and whose updates are imported, and what must be true afterwards.

Two things wait: an order to be exported (it may be refused at its confirmation, and is then
undone at once, as the hook does), and the ERP's word on another one.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import uuid4

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.domain.orders import ErpOrder
from commerce_pipelines.errors import Refused
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines_tests.crashes.erp_ground import Ground
from commerce_pipelines_tests.orders import PLACED_AT
from commerce_pipelines_tests.services.order_desk import Desk

_AROUND = (PLACED_AT - timedelta(days=1), PLACED_AT + timedelta(days=1))


class RefusingErp(RestErp):
    """An ERP that confirms nothing."""

    def confirm_order(self, external_id: str) -> ErpOrder:
        """Refuses."""
        raise Refused(f"order {external_id}: the customer owes too much")


class OrderGround(Ground):
    """An order that waits to be exported, and the ERP's word on one that is exported."""

    def stage(self) -> None:
        """Has one order exported and shipped, and another one placed."""
        self.desk = Desk(self.ledger)
        self.order_id, self.other_id = f"order_{uuid4().hex}", f"order_{uuid4().hex}"
        self.desk.place(self.other_id)
        self.export("earlier")
        other = self.standing(self.other_id)[0]
        self.world.advance(other, "shipped")
        self.world.ask("DELETE", "/effects")
        self.desk.place(self.order_id)
        shipped = self.erp.find_order(self.other_id)
        assert shipped is not None
        self.desk.deliver("shipped", shipped)

    def recover(self) -> None:
        """Sweeps as soon as requests have settled: nothing in the ERP keeps late ones out."""
        self.await_late()
        super().recover()

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

    def drained(self) -> list[str]:
        """Lets all that waits be done, and returns what is not as it should be then and later."""
        self.export("drain")
        self.desk.apply()
        self.recover()
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
