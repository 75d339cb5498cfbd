"""The inbox: one row a delivery, or a part of a large one.

    new ──► claimed ──► done
     ▲         │  └───► dead          (after the last try)
     └─────────┘ its saga was undone

Belongs here: storing a delivery, and what becomes of a message in the hands of
its saga. Does not belong here: which messages come next (`message_claims`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.errors import PermanentError, TransientError

MOST_TRIES = 10
PATIENCE_HOURS = 24
# After a long outage a kill or two must not be the last try.
TRIES_LEFT = 3
FIRST_DELAY_SECONDS = 5.0
LONGEST_DELAY_SECONDS = 3600.0


@dataclass(frozen=True)
class Part:
    """What a delivery brought, or one part of it.

    Attributes:
        body: The bytes as they came; of a large list, an array of some of its items.
        item_count: How many things the body holds, to size the work.
        aggregate: What it is about, when that is one thing; such messages keep their order.
    """

    body: bytes
    item_count: int = 1
    aggregate: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery at the door.

    Attributes:
        message_ids: One id a part, in order.
        repeated: It was here before.
        differs: It was here before with another body; the first one counts.
    """

    message_ids: list[int]
    repeated: bool
    differs: bool = False


@dataclass(frozen=True)
class Claimed:
    """A message in the hands of a saga."""

    id: int
    topic: str
    body: bytes


def receive(
    connection: Connection,
    source: str,
    webhook_id: str,
    topic: str,
    parts: Iterable[Part],
    *,
    body_sha256: bytes | None = None,
) -> Receipt:
    """Stores a delivery once, however often it comes.

    Args:
        connection: An open transaction; answer the sender only after its commit.
        source: Who sent it.
        webhook_id: The sender's id of the delivery; with the source, what makes it the same one.
        topic: What kind of work it is.
        parts: The body, or a large list in parts, of which one at a time is in memory.
        body_sha256: Of the whole body when it comes in parts.
    """
    delivery = {"source": source, "webhook_id": webhook_id}
    number = 0
    for number, part in enumerate(parts):
        row = delivery | {
            "part": number,
            "topic": topic,
            "aggregate": part.aggregate,
            "item_count": part.item_count,
            "body": part.body,
            "hash": body_sha256 or sha256(part.body).digest(),
        }
        if connection.execute(_INSERT, row).scalar_one_or_none() is None:
            return _receive_again(connection, row)
    if number:
        connection.execute(_COUNT_PARTS, delivery | {"parts": number + 1})
    return Receipt(_ids(connection, source, webhook_id), repeated=False)


def _receive_again(connection: Connection, row: Mapping[str, Any]) -> Receipt:
    ids = _ids(connection, row["source"], row["webhook_id"])
    differs = connection.execute(_KEEP_DIFFERENT, row).scalar_one_or_none() is not None
    return Receipt(ids, repeated=True, differs=differs)


def _ids(connection: Connection, source: str, webhook_id: str) -> list[int]:
    names = {"source": source, "webhook_id": webhook_id}
    return list(connection.execute(_IDS, names).scalars())


def load_claimed(connection: Connection, saga_id: str) -> list[Claimed]:
    """Returns the messages in the hands of a saga, in order."""
    rows = connection.execute(
        text("""
            SELECT id, topic, body FROM message WHERE saga_id = :saga AND state = 'claimed'
            ORDER BY id"""),
        {"saga": saga_id},
    )
    return [Claimed(row.id, row.topic, bytes(row.body)) for row in rows]


def bury(connection: Connection, message_id: int, error: str) -> None:
    """Marks a message as dead: it can never be worked on as it is."""
    connection.execute(
        text("""
            UPDATE message SET state = 'dead', finished_at = now(), last_error = :error
            WHERE id = :id"""),
        {"id": message_id, "error": error},
    )


def note_outcomes(connection: Connection, outcomes: Mapping[int, Mapping[str, Any]]) -> None:
    """Writes what is known of messages so far; they stay claimed."""
    noted = [{"id": id_, "outcome": outcome} for id_, outcome in outcomes.items()]
    connection.execute(_NOTE, {"noted": noted})


def outcomes_of(connection: Connection, saga_id: str) -> dict[int, dict[str, Any]]:
    """Returns the outcomes of the messages in the hands of a saga."""
    rows = connection.execute(
        text("""
            SELECT id, outcome FROM message WHERE saga_id = :saga AND state = 'claimed'
            ORDER BY id"""),
        {"saga": saga_id},
    )
    return {row.id: row.outcome or {} for row in rows}


def finish(connection: Connection, saga_id: str, but: Iterable[int] = ()) -> None:
    """Marks a saga's messages as done, but for some, in the transaction that ends the saga."""
    connection.execute(
        text("""
            UPDATE message SET state = 'done', finished_at = now(), last_error = NULL,
                refusal = NULL
            WHERE saga_id = :saga AND state = 'claimed' AND id <> ALL (CAST(:but AS bigint[]))"""),
        {"saga": saga_id, "but": list(but)},
    )


def fail(
    connection: Connection,
    saga_id: str,
    error: str,
    *,
    may_pass: bool = False,
    refusal: str | None = None,
) -> None:
    """Notes why a saga's messages failed; they come again later, or are dead after the last try.

    Args:
        connection: An open transaction.
        saga_id: The saga.
        error: Why.
        may_pass: Whether it is no fault of theirs, say a system that is away: then there is
            always another try for as long as `PATIENCE_HOURS`.
        refusal: Which permanent error it is, if it is one: a person has to mend something.
    """
    names = {
        "saga": saga_id,
        "error": error,
        "refusal": refusal,
        "most_tries": MOST_TRIES,
        "patience": PATIENCE_HOURS if may_pass else 0,
        "most_spared": MOST_TRIES - TRIES_LEFT,
        "first_delay": FIRST_DELAY_SECONDS,
        "longest_delay": LONGEST_DELAY_SECONDS,
    }
    connection.execute(_FAIL, names)


def failed(saga_id: str, error: BaseException) -> Callable[[Connection], None]:
    """Returns what notes an error on a saga's messages, in the transaction that gives it up."""
    told_as = str(error) or "its run was interrupted"
    may_pass = isinstance(error, TransientError)
    refusal = type(error).__name__ if isinstance(error, PermanentError) else None
    return lambda connection: fail(connection, saga_id, told_as, may_pass=may_pass, refusal=refusal)


_INSERT: Final = text("""
    INSERT INTO message (source, webhook_id, part, topic, aggregate, item_count, body, body_sha256)
    VALUES (:source, :webhook_id, :part, :topic, :aggregate, :item_count, :body, :hash)
    ON CONFLICT (source, webhook_id, part) DO NOTHING RETURNING id""")

_COUNT_PARTS: Final = text("""
    UPDATE message SET parts = :parts WHERE source = :source AND webhook_id = :webhook_id""")

_IDS: Final = text("""
    SELECT id FROM message WHERE source = :source AND webhook_id = :webhook_id ORDER BY part""")

_KEEP_DIFFERENT: Final = text("""
    INSERT INTO message_conflict (message_id, body_sha256, body)
    SELECT id, :hash, :body FROM message
    WHERE source = :source AND webhook_id = :webhook_id AND part = :part AND body_sha256 <> :hash
    ON CONFLICT (message_id, body_sha256) DO UPDATE SET body = excluded.body RETURNING id""")

_FAIL: Final = text("""
    UPDATE message SET last_error = :error, refusal = :refusal, outcome = NULL,
        next_try_at = now() + random() * make_interval(
            secs => least(:first_delay * power(2, tries - 1), :longest_delay)),
        tries = CASE WHEN judged.spared THEN least(tries, :most_spared) ELSE tries END,
        state = CASE WHEN judged.dead THEN 'dead' ELSE state END,
        finished_at = CASE WHEN judged.dead THEN now() END
    FROM (SELECT id AS of, spared, NOT spared AND tries >= :most_tries AS dead
          FROM message, LATERAL (
              SELECT received_at > now() - make_interval(hours => :patience) AS spared) AS age
          WHERE saga_id = :saga AND state = 'claimed') AS judged
    WHERE id = judged.of""")

_NOTE: Final = text("""
    UPDATE message SET outcome = noted.outcome
    FROM jsonb_to_recordset(:noted) AS noted (id bigint, outcome jsonb)
    WHERE message.id = noted.id""").bindparams(bindparam("noted", type_=JSONB))
