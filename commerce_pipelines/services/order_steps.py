"""An order in the ERP: create a draft, confirm it, note it here; each beside its undo.

A draft is found again by its reference, our order's id, so whatever is sent again
makes one order. Confirming is the point of no return: from its intent on the export
only goes forward, for a confirmed order may be on its way to the customer before
we know that it is confirmed. The steps keep ids only; what the ERP gets is read from the
order, which does not change once it is placed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.orders import STATUS_OF, ErpOrder, OrderStatus
from commerce_pipelines.errors import (
    CommerceError,
    NeedsPerson,
    NotFound,
    PermanentError,
    Unknown,
)
from commerce_pipelines.saga.step import JSON, ExternalStep, TransactionalStep, Undo
from commerce_pipelines.store.order_statuses import (
    StatusWord,
    Verdict,
    apply_statuses,
    restore_statuses,
)
from commerce_pipelines.store.orders import (
    is_exported_by_another,
    link_order,
    load_order,
    unlink_order,
)

KIND = "order_export"


@dataclass(frozen=True)
class CreateErpOrder(ExternalStep):
    """Creates a draft there. The plan: `order_id`."""

    name = "erp.create_order"
    settle_seconds = 240.0
    erp: Erp
    engine: Engine

    def act(self, plan: JSON, key: str) -> JSON:
        """Creates it once; an order that is there under our id is taken as it is."""
        del key
        with self.engine.connect() as connection:
            known = load_order(connection, plan["order_id"])
        if known is None:
            raise NotFound(f"There is no order {plan['order_id']}.")
        return as_result(self.erp.create_order(known.order))

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Finds it by our id, unless it is what another saga has exported meanwhile."""
        found = self.erp.find_order(plan["order_id"])
        if found is None or _is(found, OrderStatus.CANCELLED) or self.is_of_another(found, key):
            return None
        return as_result(found)

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Cancels the draft, unless it was no draft when we came.

        Raises:
            NeedsPerson: Somebody has confirmed it there.
        """
        if status_of(result["status"]) is not OrderStatus.PLACED:
            return Undo(superseded=True, report={"was_there": result["external_id"]})
        found = self.erp.find_order(plan["order_id"])
        if found is not None and found.external_id == result["external_id"]:
            if self.is_of_another(found, key):
                return Undo(superseded=True, report={"exported_again": found.external_id})
            if not _is(found, OrderStatus.PLACED) and not _is(found, OrderStatus.CANCELLED):
                raise NeedsPerson(
                    f"Order {found.external_id} is {found.status} there: somebody has confirmed it."
                )
        return self._cancel(result["external_id"])

    def is_of_another(self, found: ErpOrder, key: str) -> bool:
        """Tells whether an order there is what another saga than the key's has exported.

        Raises:
            Busy: Another saga is exporting it just now.
        """
        saga_id = key.rpartition("-")[0]
        with self.engine.connect() as connection:
            return is_exported_by_another(
                connection, KIND, found.reference or "", saga_id, found.external_id
            )

    def _cancel(self, external_id: str) -> Undo:
        try:
            self.erp.cancel_order(external_id)
        except NotFound:
            return Undo(report={"gone": external_id})
        return Undo(report={"cancelled": external_id})


@dataclass(frozen=True)
class ConfirmErpOrder(ExternalStep):
    """Confirms the draft: the point of no return. The plan: `order_id`, `external_id`."""

    name = "erp.confirm_order"
    settle_seconds = 240.0
    is_pivot = True
    erp: Erp

    def act(self, plan: JSON, key: str) -> JSON:
        """Confirms it; a confirmed one stays as it is.

        Raises:
            PermanentError: It is not confirmed.
            Unknown: It may be: it was refused, and cannot be looked at.
        """
        try:
            return as_result(self.erp.confirm_order(plan["external_id"]))
        except PermanentError as error:
            found = self._look_after(error, plan, key)
            if found is None:
                raise
            return found

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Finds out whether it is confirmed, or further."""
        del key
        found = self.erp.find_order(plan["order_id"])
        if found is None or found.external_id != plan["external_id"]:
            return None
        is_confirmed = status_of(found.status) not in (OrderStatus.PLACED, OrderStatus.CANCELLED)
        return as_result(found) if is_confirmed else None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Is left to a person.

        Raises:
            NeedsPerson: Always.
        """
        del result, key
        raise NeedsPerson(f"Order {plan['external_id']} is confirmed there.")

    def _look_after(self, error: PermanentError, plan: JSON, key: str) -> JSON | None:
        """Looks what is true after a refusal, for a try before it may have landed."""
        try:
            return self.look(plan, key)
        except CommerceError:
            raise Unknown(f"Order {plan['external_id']} may be confirmed: {error}") from error


class NoteOrder(TransactionalStep):
    """Notes what the ERP's order is. The plan: `order_id`, `there`."""

    name = "store.note_order"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Links them, gives ours the status there, and counts its reservation as the ERP's."""
        there, order_id = plan["there"], plan["order_id"]
        is_new = link_order(connection, saga_id, order_id, there["external_id"])
        word = StatusWord(
            external_id=there["external_id"],
            reference=order_id,
            status=status_of(there["status"]),
            word=there["status"],
            changed_at=datetime.fromisoformat(there["changed_at"]),
        )
        (applied,) = apply_statuses(connection, saga_id, [word])
        return {"linked": is_new, "status": applied.verdict}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Unlinks them, and restores the status where nobody has changed it since."""
        restored = restore_statuses(connection, saga_id)
        kept = result["linked"] and not unlink_order(connection, saga_id, plan["order_id"])
        is_applied = result["status"] in (Verdict.APPLIED, Verdict.UNCHANGED)
        return Undo(superseded=kept or (is_applied and not restored["restored"]), report=restored)


def as_result(order: ErpOrder) -> JSON:
    """Returns an order of the ERP as the ledger keeps it."""
    return {
        "external_id": order.external_id,
        "number": order.number,
        "status": order.status,
        "changed_at": order.changed_at.isoformat(),
    }


def is_draft(result: JSON) -> bool:
    """Tells whether the ERP's order still waits to be confirmed."""
    return status_of(result["status"]) is OrderStatus.PLACED


def status_of(word: str) -> OrderStatus:
    """Returns what a word there means; one that we do not know is no draft, so confirmed."""
    return STATUS_OF.get(word, OrderStatus.CONFIRMED)


def _is(order: ErpOrder, status: OrderStatus) -> bool:
    return status_of(order.status) is status
