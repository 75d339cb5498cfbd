"""Whether the inbox is well: what is dead, and what has waited for too long.

Cheap enough to be asked several times a minute. Does not belong here: looking
at messages one by one (`message_operations`).
"""

from __future__ import annotations

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


def list_dead(connection: Connection, limit: int) -> list[DeadMessage]:
    """Returns dead messages, the newest first."""
    rows = connection.execute(_DEAD, {"limit": limit}).mappings()
    return [DeadMessage(**row) for row in rows]


def count_dead(connection: Connection) -> int:
    """Returns how many messages are dead."""
    counted = text("SELECT count(*) FROM message WHERE state = 'dead'")
    return int(connection.execute(counted).scalar_one())


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


_DEAD: Final = text("""
    SELECT id, source, tries, coalesce(last_error, '') AS error,
           coalesce(finished_at, received_at) AS since, run_id
    FROM message WHERE state = 'dead' ORDER BY id DESC LIMIT :limit""")

_FREE: Final = """topic = :topic AND state IN ('new', 'claimed') AND NOT EXISTS (
        SELECT FROM saga WHERE saga.saga_id = message.saga_id AND saga.status = 'parked')"""

_WAITING: Final = text(f"""
    SELECT count(*) FROM (SELECT FROM message WHERE {_FREE} LIMIT :most) AS waiting""")

_OLDEST: Final = text(f"""
    SELECT CAST(extract(epoch FROM now() - received_at) AS double precision)
    FROM message WHERE {_FREE} ORDER BY id LIMIT 1""")
