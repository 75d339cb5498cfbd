"""The mechanisms that keep sagas whole, each switched off to show that the suite sees it.

Only a child process of this suite ever does that: it replaces a part of the
engine in its own memory. The project has no switch for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from commerce_pipelines.saga import statements
from commerce_pipelines.saga.audit import Auditor
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.states import StepState
from commerce_pipelines.saga.step import JSON, ExternalStep
from commerce_pipelines.services import document_steps
from commerce_pipelines.services.document_steps import WriteDocuments
from commerce_pipelines_tests.crashes import orders

Setter = Callable[[Any, str, Any], None]


def switch_off(name: str) -> None:
    """Switches a mechanism off in this process."""
    MECHANISMS[name]()


def _intent_first() -> None:
    """The request goes out before the ledger knows of it."""
    take = Saga.take

    def sent_first(self: Saga, step: Any, plan: Any, label: str = "") -> JSON:
        known = self.ledger.step(self.saga_id, step.name, label)
        if known is not None or not isinstance(step, ExternalStep):
            return take(self, step, plan, label)
        made = plan() if callable(plan) else plan
        key = f"{self.saga_id}-{len(self.ledger.steps(self.saga_id)) + 1}"
        result = step.act(made, key)
        row = self._intend(step, made, label)
        with self.ledger.own(self.claim) as connection:
            self.ledger.update_step(connection, row, StepState.DONE, result=result)
        return result

    _set(Saga, "take", sent_first)


def _guard_on_undo() -> None:
    """The undo writes the before-image back without a look at what is there now."""

    def blind(document: JSON, current: JSON | None, key: str) -> object:
        id_ = document["id"]
        if document["create"]:
            return document_steps._DocumentUndo("deleted", [{"delete": {"id": id_}}])
        patch = {"patch": {"id": id_, "set": document["before"]}}
        return document_steps._DocumentUndo("restored", [patch])

    _set(document_steps, "_undo_document", blind)


def _epoch() -> None:
    """Whoever was taken over may go on writing."""
    _set(
        statements,
        "PROVE",
        text("""
            UPDATE saga SET epoch = epoch WHERE saga_id = :saga_id
               OR false AND :epoch + :lease = 0 AND :status = ''"""),
    )


def _settle_time() -> None:
    """A request in doubt is judged at once."""
    _set(orders.PlaceOrder, "settle_seconds", 0.0)


def _late_arrival_audit() -> None:
    """What was absent once is never looked for again."""
    _set(Auditor, "audit_due", lambda *arguments: Counter())


def _look_before_act() -> None:
    """The undo takes for granted that what it wrote is there as it was written."""

    def undo_unseen(
        self: WriteDocuments, documents: list[JSON], key: str, outcomes: dict[str, str]
    ) -> None:
        assumed = {
            document["id"]: {"_id": document["id"], "_rev": key, **document["set"]}
            for document in documents
        }
        for transaction in document_steps.plan_undo(documents, assumed, key).transactions:
            self.sanity.mutate(transaction.mutations, transaction.transaction_id)
            outcomes.update(transaction.outcomes)

    _set(WriteDocuments, "_undo_documents", undo_unseen)


def _set(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


# The seventh, the time limits of a session, is a setting of the child's connections.
MECHANISMS: dict[str, Callable[[], None]] = {
    "intent first": _intent_first,
    "guard on undo": _guard_on_undo,
    "epoch": _epoch,
    "settle time": _settle_time,
    "late-arrival audit": _late_arrival_audit,
    "look before act": _look_before_act,
}
