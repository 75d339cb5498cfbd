"""The inbox: one row a delivery, or a part of a large one.

    new ──► claimed ──► done
     ▲         │  └───► dead          (after the last try)
     └─────────┘ its saga was undone
    new ──► superseded                (a newer one says it all)

A message is claimed by a saga, in the transaction that opens the saga, and is
done in the transaction that ends it. So a claim needs no lease of its own: it
is free again as soon as its saga has been undone. Never ask for "id greater
than": a row becomes visible at its commit, not in the order of ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

MOST_TRIES = 10
ALONE_FROM_TRIES = 2
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


def claim_page(
    connection: Connection, *, topic: str, saga_id: str, run_id: str, most_items: int
) -> list[int]:
    """Claims the next due messages for a saga, in order.

    A message that was tried before comes alone, so that a bad one cannot take others with it.

    Args:
        connection: The transaction that also opens the saga.
        topic: The kind of work.
        saga_id: The saga that will do it.
        run_id: The run, for a person to look at.
        most_items: How many things the page may hold; one message may exceed it.
    """
    names: dict[str, Any] = {
        "topic": topic,
        "saga": saga_id,
        "run": run_id,
        "most_items": most_items,
        "most_tries": MOST_TRIES,
        "alone_from": ALONE_FROM_TRIES,
        "first_delay": FIRST_DELAY_SECONDS,
        "longest_delay": LONGEST_DELAY_SECONDS,
    }
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('claim ' || :topic))"), names)
    connection.execute(_BURY, names)
    return list(connection.execute(_CLAIM, names).scalars())


def load_claimed(connection: Connection, saga_id: str) -> list[Claimed]:
    """Returns the messages in the hands of a saga, in order."""
    rows = connection.execute(
        text("""
            SELECT id, body FROM message WHERE saga_id = :saga AND state = 'claimed'
            ORDER BY id"""),
        {"saga": saga_id},
    )
    return [Claimed(row.id, bytes(row.body)) for row in rows]


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
    if outcomes:
        connection.execute(
            _NOTE, [{"id": id_, "outcome": outcome} for id_, outcome in outcomes.items()]
        )


def outcomes_of(connection: Connection, saga_id: str) -> dict[int, dict[str, Any]]:
    """Returns the outcomes of a saga's messages."""
    rows = connection.execute(
        text("SELECT id, outcome FROM message WHERE saga_id = :saga ORDER BY id"),
        {"saga": saga_id},
    )
    return {row.id: row.outcome or {} for row in rows}


def finish(connection: Connection, saga_id: str) -> None:
    """Marks a saga's messages as done, in the transaction that ends the saga."""
    connection.execute(
        text("""
            UPDATE message SET state = 'done', finished_at = now(), last_error = NULL
            WHERE saga_id = :saga AND state = 'claimed'"""),
        {"saga": saga_id},
    )


def fail(connection: Connection, saga_id: str, error: str) -> None:
    """Notes why a saga's messages failed; they come again later, or are dead after the last try."""
    connection.execute(
        text("""
            UPDATE message SET last_error = :error, outcome = NULL,
                state = CASE WHEN tries >= :most_tries THEN 'dead' ELSE state END,
                finished_at = CASE WHEN tries >= :most_tries THEN now() END
            WHERE saga_id = :saga AND state = 'claimed'"""),
        {"saga": saga_id, "error": error, "most_tries": MOST_TRIES},
    )


@dataclass(frozen=True)
class Due:
    """Messages that wait to be worked on now.

    Attributes:
        oldest_id: The lowest id among them.
        oldest_tries: How often that one was tried.
        pages: How many pages they fill; a message that was tried before fills one alone.
    """

    oldest_id: int
    oldest_tries: int
    pages: int


def due(connection: Connection, topic: str, most_items: int = 1) -> Due | None:
    """Returns what waits of a topic; None when nothing does.

    Args:
        connection: The store.
        topic: The kind of work.
        most_items: How many things a page may hold.
    """
    names = {"topic": topic, "alone_from": ALONE_FROM_TRIES, "most_items": most_items}
    row = connection.execute(_COUNT_DUE, names).one()
    return Due(row.oldest_id, row.oldest_tries, row.pages) if row.oldest_id is not None else None


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

# Due: not waiting for another try, and not in the hands of a saga that is still alive.
_DUE: Final = """message.topic = :topic AND message.state IN ('new', 'claimed')
      AND message.next_try_at <= now()
      AND NOT EXISTS (SELECT FROM saga WHERE saga.saga_id = message.saga_id
                      AND saga.status IN ('running', 'aborting', 'parked'))"""

# In order: nothing earlier about the same thing is still held up.
_IN_ORDER: Final = """(message.aggregate IS NULL OR NOT EXISTS (
        SELECT FROM message earlier
        WHERE earlier.aggregate = message.aggregate AND earlier.id < message.id
          AND earlier.state IN ('new', 'claimed')
          AND (earlier.next_try_at > now() OR earlier.tries >= :alone_from OR EXISTS (
               SELECT FROM saga WHERE saga.saga_id = earlier.saga_id
                  AND saga.status IN ('running', 'aborting', 'parked')))))"""

# A message that kills its worker never gets to say so: its tries were counted when claimed.
_BURY: Final = text(f"""
    UPDATE message SET state = 'dead', finished_at = now(),
        last_error = coalesce(last_error, 'its run was killed each time')
    WHERE tries >= :most_tries AND {_DUE}""")

_CLAIM: Final = text(f"""
    WITH due AS (
        SELECT message.id, message.item_count, message.tries FROM message
        WHERE {_DUE} AND {_IN_ORDER} ORDER BY message.id LIMIT 1000),
    oldest AS (SELECT id, tries >= :alone_from AS alone FROM due ORDER BY id LIMIT 1),
    page AS (
        SELECT due.id, sum(due.item_count) OVER (ORDER BY due.id) - due.item_count AS before
        FROM due, oldest
        WHERE CASE WHEN oldest.alone THEN due.id = oldest.id ELSE due.tries < :alone_from END),
    claimed AS (
        UPDATE message SET state = 'claimed', saga_id = :saga, run_id = :run, tries = tries + 1,
            outcome = NULL,
            next_try_at = now() + random() * make_interval(
                secs => least(:first_delay * power(2, tries), :longest_delay))
        FROM page WHERE message.id = page.id AND page.before < :most_items
        RETURNING message.id)
    SELECT id FROM claimed ORDER BY id""")

_COUNT_DUE: Final = text(f"""
    SELECT min(id) AS oldest_id, (array_agg(tries ORDER BY id))[1] AS oldest_tries,
           count(*) FILTER (WHERE tries >= :alone_from) + CAST(ceil(
               coalesce(sum(item_count) FILTER (WHERE tries < :alone_from), 0)
               / CAST(:most_items AS numeric)) AS int) AS pages
    FROM message WHERE {_DUE} AND {_IN_ORDER}""")

_NOTE: Final = text("UPDATE message SET outcome = :outcome WHERE id = :id").bindparams(
    bindparam("outcome", type_=JSONB)
)
