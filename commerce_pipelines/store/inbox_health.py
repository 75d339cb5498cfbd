"""Whether the inbox is well: what is dead, what is refused, and what has waited for too long.

Cheap enough to be asked several times a minute. Does not belong here: looking
at messages one by one (`message_operations`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class DeadMessage:
    """A message that is not tried any more."""

    id: int
    source: str
    tries: int
    error: str
    since: datetime
    run_id: str | None


@dataclass(frozen=True)
class RefusedMessage:
    """A message that met a definite no when it was tried last, and is tried again.

    Attributes:
        kind: Which permanent error that is.
    """

    id: int
    source: str
    topic: str
    kind: str
    error: str
    received_at: datetime
    run_id: str | None


@dataclass(frozen=True)
class Backlog:
    """What waits in the inbox, but for what a parked saga holds.

    Attributes:
        count: How many messages, counted no further than asked for.
        oldest_seconds: Age of the oldest; None when nothing waits.
    """

    count: int
    oldest_seconds: float | None


def list_dead(
    connection: Connection, limit: int, topics: Sequence[str] = (), within: bool = False
) -> list[DeadMessage]:
    """Returns dead messages, the newest first.

    Args:
        connection: The store.
        limit: How many at most.
        topics: Kinds of work.
        within: Whether it is these, or all but these.
    """
    names = {"limit": limit, "topics": list(topics), "within": within}
    rows = connection.execute(_DEAD, names).mappings()
    return [DeadMessage(**row) for row in rows]


def count_dead(connection: Connection, topics: Sequence[str] = (), within: bool = False) -> int:
    """Returns how many messages are dead; see `list_dead`."""
    names = {"topics": list(topics), "within": within}
    return int(connection.execute(_COUNT_DEAD, names).scalar_one())


def list_refused(
    connection: Connection, limit: int, topics: Sequence[str] = (), within: bool = False
) -> list[RefusedMessage]:
    """Returns refused messages, the newest first; see `list_dead`."""
    names = {"limit": limit, "topics": list(topics), "within": within}
    rows = connection.execute(_REFUSED, names).mappings()
    return [RefusedMessage(**row) for row in rows]


def count_refused(connection: Connection, topics: Sequence[str] = (), within: bool = False) -> int:
    """Returns how many messages are refused; see `list_dead`."""
    names = {"topics": list(topics), "within": within}
    return int(connection.execute(_COUNT_REFUSED, names).scalar_one())


def measure_backlog(connection: Connection, topic: str, most: int) -> Backlog:
    """Returns how much of a topic waits, and for how long.

    Args:
        connection: The store.
        topic: The kind of work.
        most: Where counting stops.
    """
    names = {"topic": topic, "most": most}
    oldest = connection.execute(_OLDEST, names).scalar()
    return Backlog(int(connection.execute(_WAITING, names).scalar_one()), oldest)


_IS_ASKED_FOR: Final = "(topic = ANY (CAST(:topics AS text[]))) = :within"

_IS_DEAD: Final = f"state = 'dead' AND {_IS_ASKED_FOR}"

_COUNT_DEAD: Final = text(f"SELECT count(*) FROM message WHERE {_IS_DEAD}")

_DEAD: Final = text(f"""
    SELECT id, source, tries, coalesce(last_error, '') AS error,
           coalesce(finished_at, received_at) AS since, run_id
    FROM message WHERE {_IS_DEAD} ORDER BY id DESC LIMIT :limit""")

_IS_REFUSED: Final = f"state IN ('new', 'claimed') AND refusal IS NOT NULL AND {_IS_ASKED_FOR}"

_COUNT_REFUSED: Final = text(f"SELECT count(*) FROM message WHERE {_IS_REFUSED}")

_REFUSED: Final = text(f"""
    SELECT id, source, topic, refusal AS kind, coalesce(last_error, '') AS error, received_at,
           run_id
    FROM message WHERE {_IS_REFUSED} ORDER BY id DESC LIMIT :limit""")

_FREE: Final = """topic = :topic AND state IN ('new', 'claimed') AND NOT EXISTS (
        SELECT FROM saga WHERE saga.saga_id = message.saga_id AND saga.status = 'parked')"""

_WAITING: Final = text(f"""
    SELECT count(*) FROM (SELECT FROM message WHERE {_FREE} LIMIT :most) AS waiting""")

_OLDEST: Final = text(f"""
    SELECT CAST(extract(epoch FROM now() - received_at) AS double precision)
    FROM message WHERE {_FREE} ORDER BY id LIMIT 1""")
