"""Whether the inbox is well: what is dead, and what has waited for too long.

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


_IS_DEAD: Final = "state = 'dead' AND (topic = ANY (CAST(:topics AS text[]))) = :within"

_COUNT_DEAD: Final = text(f"SELECT count(*) FROM message WHERE {_IS_DEAD}")

_DEAD: Final = text(f"""
    SELECT id, source, tries, coalesce(last_error, '') AS error,
           coalesce(finished_at, received_at) AS since, run_id
    FROM message WHERE {_IS_DEAD} ORDER BY id DESC LIMIT :limit""")

_FREE: Final = """topic = :topic AND state IN ('new', 'claimed') AND NOT EXISTS (
        SELECT FROM saga WHERE saga.saga_id = message.saga_id AND saga.status = 'parked')"""

_WAITING: Final = text(f"""
    SELECT count(*) FROM (SELECT FROM message WHERE {_FREE} LIMIT :most) AS waiting""")

_OLDEST: Final = text(f"""
    SELECT CAST(extract(epoch FROM now() - received_at) AS double precision)
    FROM message WHERE {_FREE} ORDER BY id LIMIT 1""")
