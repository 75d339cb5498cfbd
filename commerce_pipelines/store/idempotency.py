"""The first answer to a request that carries a key, kept in the transaction of its effect.

Belongs here: finding and keeping answers. Does not belong here: what a key looks like,
and how long answers are kept (`retention`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, TextClause, text

from commerce_pipelines.domain.codes import Code
from commerce_pipelines.errors import Declined
from commerce_pipelines.store.together import Rows, ask_together, tell_and_commit


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that carries a key.

    Attributes:
        scope: What was asked of whom: a route with the ids in it. The same key elsewhere is
            another one.
        key: The sender's.
        sha256: Of the body.
    """

    scope: str
    key: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes out, byte for byte."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def wait_for_others(connection: Connection, request: KeyedRequest) -> Answer | None:
    """Waits until nobody else works on the same key; lasts until the transaction ends.

    Returns:
        The first answer to this request; None if it is the first one.

    Raises:
        Declined: The key came before with another body.
    """
    name = {"name": f"{request.scope} {request.key}"}
    _, rows = ask_together(connection, (_LOCK, name), finding(request))
    return answer_in(rows, request)


def finding(request: KeyedRequest) -> tuple[TextClause, dict[str, str]]:
    """Returns the statement that finds the first answer, to be sent with a lock."""
    return _FIND, {"scope": request.scope, "key": request.key}


def answer_in(rows: Rows, request: KeyedRequest) -> Answer | None:
    """Returns the first answer to this request; None if it is the first one.

    Args:
        rows: What `finding` has found.
        request: The request.

    Raises:
        Declined: The key came before with another body.
    """
    if not rows:
        return None
    (row,) = rows
    if bytes(row["request_sha256"]) != request.sha256:
        raise Declined(Code.KEY_REUSED, "The Idempotency-Key was here before with another body.")
    return Answer(row["status"], bytes(row["body"]), row["headers"])


def keep_and_commit(connection: Connection, request: KeyedRequest, answer: Answer) -> None:
    """Keeps an answer for when the request comes again, and commits it with its effect."""
    names = {
        "scope": request.scope,
        "key": request.key,
        "sha256": request.sha256,
        "status": answer.status,
        "headers": json.dumps(dict(answer.headers)),
        "body": answer.body,
    }
    tell_and_commit(connection, _KEEP, names)


_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_FIND: Final = text("""
    SELECT request_sha256, status, headers, body FROM idempotency_key
    WHERE scope = :scope AND key = :key""")

_KEEP: Final = text("""
    INSERT INTO idempotency_key (scope, key, request_sha256, status, headers, body)
    VALUES (:scope, :key, :sha256, :status, CAST(:headers AS jsonb), :body)""")
