"""The first answer to a request that carries a key, kept in the transaction of its effect.

Neither a key nor an address is part of what is signed, so a signed delivery is known by its
own id too: sent again under another key, or to another address, it is refused. Belongs here:
finding and keeping answers. Does not belong here: what a key looks like, how long answers are
kept (`retention`), and deliveries that only become messages (`messages`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

from commerce_pipelines.domain.codes import Code
from commerce_pipelines.errors import Declined
from commerce_pipelines.store.together import Rows, ask_together, tell_and_commit


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that carries a key, or was signed, or both.

    Attributes:
        scope: What was asked of whom: a route with the ids in it. The same key elsewhere is
            another one.
        key: The sender's; None without one.
        sha256: Of the body.
        delivery: The sender's id of the signed delivery; None of an unsigned one.
    """

    scope: str
    key: str | None
    sha256: bytes
    delivery: str | None = None

    @property
    def kept_under(self) -> str:
        """Returns the key; a signed request has one in any case, its delivery's id."""
        return self.key or f"delivery {self.delivery}"

    @property
    def names(self) -> dict[str, Any]:
        """Returns what it is known by."""
        return {"scope": self.scope, "key": self.kept_under, "delivery": self.delivery}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes out, byte for byte."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def wait_for_others(connection: Connection, request: KeyedRequest) -> Answer | None:
    """Waits until nobody else works on the same key or delivery, until the transaction ends.

    Returns:
        The first answer to this request; None if it is the first one.

    Raises:
        Declined: The key came before with another body, or the delivery under another key or
            for another address.
    """
    _, rows = ask_together(connection, (_LOCK, request.names), finding(request))
    return answer_in(rows, request)


def waiting(request: KeyedRequest) -> tuple[TextClause, dict[str, Any]]:
    """Returns the statement that waits for others with the same delivery, to be sent first."""
    return _WAIT, request.names


def finding(request: KeyedRequest) -> tuple[TextClause, dict[str, Any]]:
    """Returns the statement that finds the first answer, to be sent with a lock."""
    return _FIND_SIGNED if request.delivery else _FIND, request.names


def answer_in(rows: Rows, request: KeyedRequest) -> Answer | None:
    """Returns the first answer to this request; None if it is the first one.

    Args:
        rows: What `finding` has found.
        request: The request.

    Raises:
        Declined: The key came before with another body, or the delivery under another key or
            for another address.
    """
    if not rows:
        return None
    if any(row["scope"] != request.scope for row in rows):
        told = f"Delivery {request.delivery} was here before, for another address."
        raise Declined(Code.DELIVERY_REPEATED, f"{told} Nothing happened this time.")
    row = next((row for row in rows if row["key"] == request.kept_under), None)
    if row is None and request.key:
        told = f"Delivery {request.delivery} was here before under another Idempotency-Key."
        raise Declined(Code.DELIVERY_REPEATED, f"{told} Nothing happened this time.")
    row = row or rows[0]
    if bytes(row["request_sha256"]) != request.sha256:
        known = "Idempotency-Key" if request.key else "delivery"
        raise Declined(Code.KEY_REUSED, f"The {known} was here before with another body.")
    return Answer(row["status"], bytes(row["body"]), row["headers"])


def note_delivery(connection: Connection, request: KeyedRequest) -> None:
    """Notes the delivery of a request that its key was known of: under no other key is it new."""
    if request.key and request.delivery:
        connection.execute(_NOTE, {**request.names, "own": f"delivery {request.delivery}"})


def keep_and_commit(connection: Connection, request: KeyedRequest, answer: Answer) -> None:
    """Keeps an answer for when the request comes again, and commits it with its effect."""
    names = {
        **request.names,
        "sha256": request.sha256,
        "status": answer.status,
        "headers": json.dumps(dict(answer.headers)),
        "body": answer.body,
    }
    tell_and_commit(connection, _KEEP, names)


_LOCK_DELIVERY: Final = "pg_advisory_xact_lock(hashtextextended('delivery ' || :delivery, 1))"

# The locks are taken from left to right; of an unsigned request the second is none.
_LOCK: Final = text(f"""
    SELECT pg_advisory_xact_lock(hashtextextended(:scope || ' ' || :key, 0)), {_LOCK_DELIVERY}""")

_WAIT: Final = text(f"SELECT {_LOCK_DELIVERY}")

_ANSWERS: Final = """
    SELECT scope, key, request_sha256, status, headers, body FROM idempotency_key"""

_FIND: Final = text(f"{_ANSWERS} WHERE scope = :scope AND key = :key")

_FIND_SIGNED: Final = text(
    f"{_ANSWERS} WHERE (scope = :scope AND key = :key) OR delivery = :delivery"
)

_KEEP: Final = text("""
    INSERT INTO idempotency_key (scope, key, request_sha256, status, headers, body, delivery)
    VALUES (:scope, :key, :sha256, :status, CAST(:headers AS jsonb), :body, :delivery)""")

_NOTE: Final = text("""
    INSERT INTO idempotency_key (scope, key, request_sha256, status, headers, body, delivery)
    SELECT scope, :own, request_sha256, status, headers, body, :delivery FROM idempotency_key
    WHERE scope = :scope AND key = :key
    ON CONFLICT DO NOTHING""")
