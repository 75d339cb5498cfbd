"""What the Sanity imitation refuses, in the words of the Content Lake.

Belongs here: status, body and headers of every refusal. Does not belong here:
when something is refused. The bodies follow what Sanity's official client reads
(`ClientError.details`) and what is published of real answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SanityError(Exception):
    """The Content Lake refuses a request."""

    def __init__(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = headers or {}


def plain(status: int, error: str, message: str, code: str | None = None) -> SanityError:
    """Returns a refusal by the API's front: authentication, routes, sizes."""
    body: dict[str, Any] = {"statusCode": status, "error": error, "message": message}
    return SanityError(status, body | ({"errorCode": code} if code else {}))


def unauthorised() -> SanityError:
    """Returns the answer to a token nobody knows."""
    return plain(401, "Unauthorized", "Session not found", "SIO-401-ANF")


def rate_limited(limit: int, retry_after_seconds: int = 1) -> SanityError:
    """Returns the answer to more requests than a second allows."""
    headers = {
        "retry-after": str(retry_after_seconds),
        "ratelimit-reset": str(retry_after_seconds),
        "x-ratelimit-limit-second": str(limit),
        "x-ratelimit-remaining-second": "0",
    }
    return SanityError(429, {"message": "API rate limit exceeded"}, headers)


def too_large(limit_bytes: int) -> SanityError:
    """Returns the answer to a body beyond the limit."""
    message = f"Request body exceeds limit of {limit_bytes} bytes"
    return plain(413, "Request Entity Too Large", message)


def invalid(description: str, index: int | None = None) -> SanityError:
    """Returns the answer to a malformed request; `index` names the mutation, if it is one."""
    error: dict[str, Any] = {"type": "validationError", "description": description}
    if index is not None:
        error["items"] = [{"index": index, "error": dict(error)}]
    return SanityError(400, {"error": error})


def query_invalid(query: str, description: str, start: int, end: int) -> SanityError:
    """Returns the answer to a query that is not understood between `start` and `end`."""
    error = {
        "type": "queryParseError",
        "description": description,
        "query": query,
        "start": start,
        "end": end,
    }
    return SanityError(400, {"error": error})


def mutation_failed(
    index: int, kind: str, description: str, status: int = 409, **details: object
) -> SanityError:
    """Returns the answer to a transaction that one mutation made fail."""
    item = {"type": kind, "description": description, **details}
    error = {
        "type": "mutationError",
        "description": f"Mutation failed: {description}",
        "items": [{"index": index, "error": item}],
    }
    return SanityError(status, {"error": error})


def already_exists(index: int, document_id: str) -> SanityError:
    """Returns the answer to `create` for an id in use."""
    description = f'Document by ID "{document_id}" already exists'
    return mutation_failed(index, "documentAlreadyExistsError", description, id=document_id)


def not_found(index: int, document_id: str) -> SanityError:
    """Returns the answer to a patch of nothing."""
    description = f'The document with the ID "{document_id}" was not found'
    return mutation_failed(index, "documentNotFoundError", description, id=document_id)


def revision_differs(index: int, document_id: str, current: str, expected: str) -> SanityError:
    """Returns the answer to a patch whose `ifRevisionID` is not the document's."""
    description = (
        f'Document "{document_id}" has unexpected revision ID ("{current}"), expected "{expected}"'
    )
    return mutation_failed(
        index,
        "documentRevisionIDDoesNotMatchError",
        description,
        id=document_id,
        currentRevisionID=current,
        expectedRevisionID=expected,
    )


def still_referenced(index: int, document_id: str, by: Sequence[str]) -> SanityError:
    """Returns the answer to a delete of a document that others refer to strongly."""
    description = (
        f'Document "{document_id}" cannot be deleted as there are references to it from "{by[0]}"'
    )
    return mutation_failed(
        index,
        "documentHasExistingReferencesError",
        description,
        id=document_id,
        referencingIDs=list(by),
    )


def reference_missing(index: int, document_id: str, target: str) -> SanityError:
    """Returns the answer to a strong reference that leads nowhere."""
    description = f'Document "{document_id}" references non-existent document "{target}"'
    return mutation_failed(
        index,
        "documentReferenceDoesNotExistError",
        description,
        id=document_id,
        referenceID=target,
    )


def immutable(index: int, document_id: str, attribute: str) -> SanityError:
    """Returns the answer to a patch of an attribute that never changes."""
    description = f'Cannot modify immutable attribute "{attribute}"'
    return mutation_failed(
        index,
        "cannotModifyImmutableAttributeError",
        description,
        400,
        attribute=attribute,
        id=document_id,
    )


def not_permitted(permission: str, index: int = 0) -> SanityError:
    """Returns the answer to a write without the right to it."""
    description = f'Insufficient permissions; permission "{permission}" required'
    return mutation_failed(
        index, "insufficientPermissionsError", description, 403, permission=permission
    )


def transaction_exists(transaction_id: str) -> SanityError:
    """Returns the answer to a transaction id that was accepted before."""
    return SanityError(
        409,
        {
            "error": {
                "type": "transactionAlreadyExistsError",
                "description": f'Transaction with ID "{transaction_id}" already exists',
                "transactionId": transaction_id,
            }
        },
    )


def transaction_conflict(transaction_id: str) -> SanityError:
    """Returns the answer to a transaction that met another one and was rolled back."""
    return SanityError(
        409,
        {
            "error": {
                "type": "transactionConflictError",
                "description": "Transaction conflict: it was rolled back and may be tried again",
                "transactionId": transaction_id,
            }
        },
    )
