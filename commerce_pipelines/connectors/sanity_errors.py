"""What Sanity's refusals mean.

Belongs here: the error names of the Content Lake. Does not belong here: statuses
that mean the same everywhere (`http`).

A refusal reads `{"error": {"type", "description", "items": [{"index", "error":
{"type", "description", "id"}}]}}`; gateways answer `{"statusCode", "error",
"message"}` with texts instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.http import error_for
from commerce_pipelines.errors import (
    Busy,
    CommerceError,
    Conflict,
    Refused,
    Unknown,
)

ALREADY_EXISTS = "documentAlreadyExistsError"
REVISION_DIFFERS = "documentRevisionIDDoesNotMatchError"
NOT_FOUND = "documentNotFoundError"
STILL_REFERENCED = "documentHasExistingReferencesError"
REFERENCE_MISSING = "documentReferenceDoesNotExistError"


@dataclass(frozen=True, slots=True)
class RefusedMutation:
    """Why one mutation of a transaction was refused.

    Attributes:
        index: Its position in the transaction, from 0; None if Sanity does not say.
        document_id: The document; None if Sanity does not say.
        type: Sanity's name for the error.
        description: Sanity's sentence.
        referenced_by: Documents that refer to it, where that is why.
    """

    index: int | None
    document_id: str | None
    type: str
    description: str
    referenced_by: tuple[str, ...] = ()


class DocumentsConflict(Conflict):
    """A document in Sanity has changed, exists already, is gone, or is still referenced.

    Attributes:
        items: The mutations concerned; the transaction had no effect at all.
    """

    def __init__(self, message: str | None = None, items: tuple[RefusedMutation, ...] = ()) -> None:
        super().__init__(message)
        self.items = items


class DocumentsRefused(Refused):
    """Sanity refused a transaction for what is in it.

    Attributes:
        items: The mutations concerned, where Sanity names them.
    """

    def __init__(self, message: str | None = None, items: tuple[RefusedMutation, ...] = ()) -> None:
        super().__init__(message)
        self.items = items


def transaction_exists(answer: Answer) -> bool:
    """Tells whether a transaction with this id was accepted before."""
    return answer.status == 409 and _error(answer).get("type") == "transactionAlreadyExistsError"


def mutation_error_for(answer: Answer) -> CommerceError | None:
    """Returns the error that an answer to a mutation means; None if its transaction is in."""
    if transaction_exists(answer):
        return None
    if answer.status == 409 and _error(answer).get("type") == "transactionConflictError":
        return Busy(f"{answer} (rolled back)", retry_after_seconds=answer.retry_after_seconds)
    error = error_for(answer)
    if error is None and not (isinstance(answer.body, dict) and "transactionId" in answer.body):
        return Unknown(f"{answer} (no transaction id)")
    items = tuple(_items(answer))
    if isinstance(error, Conflict):
        return DocumentsConflict(str(error), items)
    if isinstance(error, Refused):
        return DocumentsRefused(str(error), items)
    return error


def _error(answer: Answer) -> dict[str, Any]:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return error if isinstance(error, dict) else {}


def _items(answer: Answer) -> Iterator[RefusedMutation]:
    listed = _error(answer).get("items")
    for item in listed if isinstance(listed, list) else []:
        error = item.get("error") if isinstance(item, dict) else None
        if isinstance(error, dict):
            yield RefusedMutation(
                index=item.get("index"),
                document_id=error.get("id"),
                type=str(error.get("type", "")),
                description=str(error.get("description", "")),
                referenced_by=_texts(error.get("referencingIDs")),
            )


def _texts(listed: object) -> tuple[str, ...]:
    return tuple(map(str, listed)) if isinstance(listed, list) else ()
