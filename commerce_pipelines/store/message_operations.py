"""What a person asks of the inbox: what waits, what is dead, and doing it again.

Belongs here: the statements behind `commerce-pipelines messages` and `status`.
Does not belong here: the work on a message (`messages`), and a delivery as its
sender sees it (`message_reads`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.errors import Conflict, NotFound

REPLAYABLE = ("done", "dead")


@dataclass(frozen=True)
class InboxCounts:
    """What is in the inbox.

    Attributes:
        by_state: How many messages are in each state that has any.
        oldest_unfinished_seconds: Age of the oldest that waits or is worked on; None without one.
    """

    by_state: dict[str, int]
    oldest_unfinished_seconds: float | None


def count_messages(connection: Connection) -> InboxCounts:
    """Counts the inbox."""
    rows = connection.execute(_COUNTS).all()
    ages = [row.oldest_seconds for row in rows if row.oldest_seconds is not None]
    return InboxCounts({row.state: row.messages for row in rows}, max(ages, default=None))


def list_messages(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    source: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Returns messages, newest first, without their bodies.

    Args:
        connection: The store.
        states: Only these; none for all.
        source: Only from this sender.
        since: Only those received at or after this moment.
        limit: At most so many.
    """
    names = {"states": list(states), "source": source, "since": since, "limit": limit}
    return [dict(row) for row in connection.execute(_LIST, names).mappings()]


def load_message(connection: Connection, message_id: int) -> dict[str, Any]:
    """Returns one message with its outcome and what people did to it.

    Raises:
        NotFound: There is no such message.
    """
    row = connection.execute(_LOAD, {"id": message_id}).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no message {message_id}; see `commerce-pipelines messages list`.")
    events = connection.execute(_EVENTS, {"id": message_id}).mappings()
    return {**row, "events": [dict(event) for event in events]}


def messages_of_saga(connection: Connection, saga_id: str) -> list[dict[str, Any]]:
    """Returns the messages that a saga works on or has finished."""
    return [dict(row) for row in connection.execute(_OF_SAGA, {"saga": saga_id}).mappings()]


def load_body(connection: Connection, message_id: int) -> bytes:
    """Returns the bytes that a message brought.

    Raises:
        NotFound: There is no such message, or its body was deleted after its time.
    """
    body = connection.execute(
        text("SELECT body FROM message WHERE id = :id"), {"id": message_id}
    ).scalar()
    if body is None:
        raise NotFound(f"There is no message {message_id}, or its body is no longer kept.")
    return bytes(body)


@dataclass(frozen=True)
class Selection:
    """Which finished messages: those that fit everything that is given.

    Attributes:
        state: `done` or `dead`.
        source: From this sender.
        since: Received at or after this moment.
        until: Received before this one.
    """

    state: str
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def replayable_ids(connection: Connection, selection: Selection) -> list[int]:
    """Returns the selected messages that can be done again, oldest first."""
    return list(connection.execute(_REPLAYABLE, asdict(selection)).scalars())


def replay(connection: Connection, message_ids: Sequence[int], who: str, reason: str) -> None:
    """Puts finished messages back as new ones, all or none, and records who and why.

    What a newer message has changed since stays: an older word never overwrites a newer one.

    Args:
        connection: An open transaction.
        message_ids: The messages.
        who: Who decided it.
        reason: Why.

    Raises:
        NotFound: There is no such message.
        Conflict: One is not finished, or its body is no longer kept.
    """
    names = {"ids": list(message_ids)}
    found = {row.id: row for row in connection.execute(_LOCK, names)}
    for message_id in message_ids:
        if message_id not in found:
            raise NotFound(f"There is no message {message_id}.")
        row = found[message_id]
        if row.state not in REPLAYABLE:
            held = f" by saga {row.saga_id}" if row.saga_id else ""
            raise Conflict(f"Message {message_id} is {row.state}{held}: it is still worked on.")
        if not row.kept:
            raise Conflict(f"The body of message {message_id} is no longer kept; send it anew.")
    connection.execute(_NOTE_REPLAY, {**names, "who": who, "note": reason})
    connection.execute(_REPLAY, names)


_COUNTS: Final = text("""
    SELECT state, count(*) AS messages,
           CAST(extract(epoch FROM now() - min(received_at)
               FILTER (WHERE state IN ('new', 'claimed'))) AS double precision) AS oldest_seconds
    FROM message GROUP BY state ORDER BY state""")

_COLUMNS: Final = """
    id, source, webhook_id, part, parts, topic, aggregate, item_count, state, tries,
    saga_id, run_id, received_at, next_try_at, finished_at, last_error"""

_LIST: Final = text(f"""
    SELECT {_COLUMNS} FROM message
    WHERE (cardinality(CAST(:states AS text[])) = 0 OR state = ANY (:states))
      AND (CAST(:source AS text) IS NULL OR source = :source)
      AND (CAST(:since AS timestamptz) IS NULL OR received_at >= :since)
    ORDER BY id DESC LIMIT :limit""")

_LOAD: Final = text(f"""
    SELECT {_COLUMNS}, encode(body_sha256, 'hex') AS body_sha256,
           octet_length(body) AS body_bytes, outcome,
           (SELECT count(*) FROM message_conflict
            WHERE message_conflict.message_id = message.id) AS conflicting_bodies
    FROM message WHERE id = :id""")

_OF_SAGA: Final = text("""
    SELECT id, source, webhook_id, part, item_count, state, run_id FROM message
    WHERE saga_id = :saga ORDER BY id""")

_EVENTS: Final = text("""
    SELECT at, what, who, note, last_error FROM message_event WHERE message_id = :id ORDER BY id""")

_REPLAYABLE: Final = text("""
    SELECT id FROM message
    WHERE state = :state AND body IS NOT NULL
      AND (CAST(:source AS text) IS NULL OR source = :source)
      AND (CAST(:since AS timestamptz) IS NULL OR received_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR received_at < :until)
    ORDER BY id""")

_LOCK: Final = text("""
    SELECT id, state, saga_id, body IS NOT NULL AS kept FROM message
    WHERE id = ANY (:ids) ORDER BY id FOR UPDATE""")

_NOTE_REPLAY: Final = text("""
    INSERT INTO message_event (message_id, what, who, note, last_error)
    SELECT id, 'replayed when ' || state, :who, :note, last_error FROM message
    WHERE id = ANY (:ids) ORDER BY id""")

_REPLAY: Final = text("""
    UPDATE message SET state = 'new', tries = 0, next_try_at = now(), finished_at = NULL,
        saga_id = NULL, run_id = NULL, outcome = NULL, last_error = NULL, refusal = NULL
    WHERE id = ANY (:ids)""")
