"""The store's orders into the ERP: one saga an order, one order there.

    order placed ──► message, in the same commit
    claim ──► create a draft there ──► confirm it ──► note its id here
              (undo: cancel it)        (the point of  (undo: forget it)
                                        no return)

Before the confirmation a failed export is undone, and its message comes again; from
its intent on the export only goes forward, and what cannot go forward is parked. An
order is in the hands of one saga at a time. What fails an export: the ERP not
answering, or refusing the order. An order that was cancelled before is left alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.orders import OrderStatus
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import Busy
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps
from commerce_pipelines.services.order_steps import (
    KIND,
    ConfirmErpOrder,
    CreateErpOrder,
    NoteOrder,
    is_draft,
)
from commerce_pipelines.store import message_claims, messages
from commerce_pipelines.store.announcements import ORDERS, SOURCE
from commerce_pipelines.store.orders import load_order

__all__ = ["KIND", "ORDERS", "OrderExport", "announce_order", "steps"]


def announce_order(connection: Connection, order_id: str) -> int:
    """Has an order brought to the ERP; returns the message, the same one each time."""
    body = json.dumps({"order_id": order_id}).encode()
    part = messages.Part(body, aggregate=f"order:{order_id}")
    return messages.receive(connection, SOURCE, order_id, ORDERS, [part]).message_ids[0]


@dataclass(frozen=True)
class OrderExport:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        erp: The ERP.
        run_id: Who is working.
    """

    ledger: Ledger
    erp: Erp
    run_id: str

    def claim(self) -> str | None:
        """Opens a saga for the next order; None when none waits."""
        while True:
            saga_id = f"{KIND}-{uuid4().hex}"
            with self.ledger.engine.begin() as connection:
                claimed = message_claims.claim_page(
                    connection, topic=ORDERS, saga_id=saga_id, run_id=self.run_id, most_items=1
                )
                if not claimed:
                    return None
                if self._begin(connection, saga_id):
                    return saga_id

    def export(self, saga_id: str) -> JSON:
        """Brings one order to the ERP, and ends the saga; returns what was done."""
        with Saga.joined(
            self.ledger,
            saga_id,
            self.run_id,
            on_failure=lambda error: messages.failed(saga_id, error),
        ) as saga:
            return self.go_on(saga)

    def go_on(self, saga: Saga) -> JSON:
        """Takes the steps that are not taken yet, and ends the saga; returns what was done."""
        with self.ledger.engine.connect() as connection:
            order_id = _order_id(connection, saga.saga_id)
            known = load_order(connection, order_id)
        outcome: JSON = {"order_id": order_id}
        if known is None:
            outcome["action"] = "gone from the store"
        elif self.ledger.steps(saga.saga_id) or not (known.external_id or _is_over(known.status)):
            outcome |= self._bring(saga, order_id)
        elif known.external_id:
            outcome |= {"action": "known", "external_id": known.external_id}
        else:
            outcome["action"] = "cancelled"
        saga.succeed(lambda connection: _end(connection, saga.saga_id, outcome))
        return outcome

    def _bring(self, saga: Saga, order_id: str) -> JSON:
        create = CreateErpOrder(self.erp, self.ledger.engine)
        there = saga.take(create, {"order_id": order_id})
        action = "found"
        if is_draft(there):
            plan = {"order_id": order_id, "external_id": there["external_id"]}
            there = saga.take(ConfirmErpOrder(self.erp), plan)
            action = "exported"
        saga.take(NoteOrder(), {"order_id": order_id, "there": there})
        return {"action": action, "external_id": there["external_id"], "number": there["number"]}

    def _begin(self, connection: Connection, saga_id: str) -> bool:
        """Opens the saga, unless another one holds the order; its message then comes later."""
        order_id = _order_id(connection, saga_id)
        try:
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=order_id, run_id=self.run_id
            )
        except Busy as error:
            messages.fail(connection, saga_id, str(error), may_pass=True)
            return False
        return True


def steps(erp: Erp, ledger: Ledger) -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    taken = (CreateErpOrder(erp, ledger.engine), ConfirmErpOrder(erp), NoteOrder())
    return {step.name: step for step in taken}


def _order_id(connection: Connection, saga_id: str) -> str:
    (message,) = messages.load_claimed(connection, saga_id)
    return str(loads(message.body)["order_id"])


def _is_over(status: OrderStatus) -> bool:
    return status is OrderStatus.CANCELLED


def _end(connection: Connection, saga_id: str, outcome: JSON) -> None:
    noted = dict.fromkeys(messages.outcomes_of(connection, saga_id), outcome)
    messages.note_outcomes(connection, noted)
    messages.finish(connection, saga_id)
