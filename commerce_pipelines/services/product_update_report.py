"""What came of a product's change, in words for who asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from commerce_pipelines.errors import NotFound
from commerce_pipelines.saga.operations import load_saga
from commerce_pipelines.saga.states import SagaStatus
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.product_update_steps import UpdateStoreProduct, WriteErpProduct
from commerce_pipelines.store.message_reads import load_noted

_UNFINISHED: Final = (SagaStatus.RUNNING, SagaStatus.ABORTING)
_TOLD: Final = {
    UpdateStoreProduct.name: {
        "undone": "The change in the store was undone.",
        "superseded": "The store's product was changed by others since, and left as it is.",
        "": "The change in the store is being undone.",
    },
    WriteErpProduct.name: {
        "undone": "The change in the ERP was undone.",
        "superseded": "The ERP's product was changed by others since, and left as it is.",
        "refused": "The ERP was not changed.",
        "absent": "The ERP was not changed.",
        "": "The change in the ERP is being undone.",
    },
}


@dataclass(frozen=True)
class Ended:
    """What came of a change.

    Attributes:
        error: What kind of error made it fail; None if it was made.
        reason: Why it failed, for a person.
        undone: What became of what had been done, for a person.
        is_being_undone: It is not decided yet what becomes of it.
        erp: The product there as it was then, as the ledger keeps it.
    """

    saga_id: str | None
    error: str | None = None
    reason: str = ""
    undone: str = ""
    retry_after_seconds: float | None = None
    is_being_undone: bool = False
    product_id: str | None = None
    erp: JSON = field(default_factory=dict)


def load_ended(connection: Connection, message_id: int) -> Ended:
    """Returns what came of the change of a finished message."""
    noted = load_noted(connection, message_id)
    outcome = noted.outcome or {}
    if outcome.get("erp"):
        return Ended(noted.saga_id, product_id=outcome["products"][0], erp=outcome["erp"])
    failed = outcome.get("failed", {"error": "Refused", "retry_after_seconds": None})
    reasons = [each["reason"] for each in outcome.get("rejected", ())]
    saga = _saga(connection, noted.saga_id)
    status = saga["status"] if saga else None
    return Ended(
        noted.saga_id,
        error=failed["error"],
        reason=reasons[0] if reasons else f"It was given up: {noted.last_error}.",
        undone=_undone(saga),
        retry_after_seconds=failed["retry_after_seconds"],
        is_being_undone=status in _UNFINISHED,
    )


def _saga(connection: Connection, saga_id: str | None) -> JSON | None:
    if saga_id is None:
        return None
    try:
        return load_saga(connection, saga_id)
    except NotFound:
        return None


def _undone(saga: JSON | None) -> str:
    if saga is None:
        return "Nothing was changed."
    if saga["status"] == SagaStatus.PARKED:
        return (
            "Its undo waits for a person: "
            f"`commerce-pipelines sagas show {saga['saga_id']}` says what to do."
        )
    last = {step["name"]: step["state"] for step in saga["steps"]}
    told = [words.get(last[name], words[""]) for name, words in _TOLD.items() if name in last]
    return " ".join(told) or "Nothing was changed."
