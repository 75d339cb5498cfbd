"""Which messages come next: what is due, in which order, how many at a time.

A message is claimed by a saga, in the transaction that opens the saga, and is
done in the transaction that ends it. So a claim needs no lease of its own: it
is free again as soon as its saga has been undone. Never ask for "id greater
than": a row becomes visible at its commit, not in the order of ids.

After each failed try a message comes in a smaller page, in the end alone: so a
bad one is found in a few pages, and takes few others with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.store.messages import FIRST_DELAY_SECONDS, MOST_TRIES

SHRINK_EACH_TRY = 16
MOST_PAGE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Due:
    """A message that waits to be worked on now.

    Attributes:
        tries: How often it was tried.
    """

    id: int
    tries: int


def oldest_due(connection: Connection, topic: str) -> Due | None:
    """Returns the first message of a topic that may be claimed; None when nothing waits."""
    row = connection.execute(_OLDEST, {"topic": topic, "tries": MOST_TRIES}).one_or_none()
    return Due(row.id, row.tries) if row else None


def count_pages(
    connection: Connection, topic: str, *, most_items: int, most_bytes: int = MOST_PAGE_BYTES
) -> int:
    """Returns about how many pages what is due of a topic fills.

    Args:
        connection: The store.
        topic: The kind of work.
        most_items: How many things a page may hold.
        most_bytes: How long its messages may be together.
    """
    names = {
        "topic": topic,
        "tries": MOST_TRIES,
        "shrink": SHRINK_EACH_TRY,
        "most_items": most_items,
        "most_bytes": most_bytes,
    }
    return int(connection.execute(_COUNT_PAGES, names).scalar_one())


def claim_page(
    connection: Connection,
    *,
    topic: str,
    saga_id: str,
    run_id: str,
    most_items: int,
    most_bytes: int = MOST_PAGE_BYTES,
) -> list[int]:
    """Claims the next due messages for a saga, in order.

    Args:
        connection: The transaction that also opens the saga.
        topic: The kind of work.
        saga_id: The saga that will do it.
        run_id: The run, for a person to look at.
        most_items: How many things the page may hold; one message may exceed it.
        most_bytes: How long its messages may be together; one may exceed it.
    """
    names: dict[str, Any] = {"topic": topic, "most_tries": MOST_TRIES}
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('claim ' || :topic))"), names)
    connection.execute(_BURY, names)
    oldest = oldest_due(connection, topic)
    if oldest is None:
        return []
    names |= {
        "saga": saga_id,
        "run": run_id,
        "tries": oldest.tries,
        "most_items": max(1, most_items // SHRINK_EACH_TRY**oldest.tries),
        "most_bytes": most_bytes,
        "delay": FIRST_DELAY_SECONDS,
    }
    return list(connection.execute(_CLAIM, names).scalars())


_WAITS: Final = "message.topic = :topic AND message.state IN ('new', 'claimed')"

_LIVE: Final = """
    live AS MATERIALIZED (
        SELECT saga_id FROM saga WHERE status IN ('running', 'aborting', 'parked'))"""

# Due: not waiting for another try, not in the hands of a live saga, and in order: nothing
# earlier about the same thing is held up. Only what was tried before can be held up.
_DUE: Final = f"""{_LIVE},
    held AS MATERIALIZED (
        SELECT aggregate, min(id) AS id FROM message
        WHERE {_WAITS} AND tries > 0 AND aggregate IS NOT NULL
          AND (next_try_at > now() OR tries > :tries OR saga_id IN (SELECT saga_id FROM live))
        GROUP BY aggregate),
    due AS NOT MATERIALIZED (
        SELECT id, tries, greatest(item_count, 1) AS items, octet_length(body) AS bytes
        FROM message
        WHERE {_WAITS} AND next_try_at <= now() AND tries <= :tries
          AND NOT EXISTS (SELECT FROM live WHERE live.saga_id = message.saga_id)
          AND NOT EXISTS (SELECT FROM held WHERE held.aggregate = message.aggregate
                          AND held.id < message.id))"""

_OLDEST: Final = text(f"WITH {_DUE} SELECT id, tries FROM due ORDER BY id LIMIT 1")

_COUNT_PAGES: Final = text(f"""
    WITH {_DUE}
    SELECT coalesce(sum(pages), 0) FROM (
        SELECT least(count(*), greatest(
            ceil(sum(items) / greatest(:most_items / power(CAST(:shrink AS numeric), tries), 1)),
            ceil(sum(bytes) / CAST(:most_bytes AS numeric)))) AS pages
        FROM due GROUP BY tries) AS by_tries""")

# A message that kills its worker never gets to say so: its tries were counted when claimed.
_BURY: Final = text(f"""
    WITH {_LIVE}
    UPDATE message SET state = 'dead', finished_at = now(),
        last_error = coalesce(last_error, 'its run was killed each time')
    WHERE {_WAITS} AND tries > 0 AND tries >= :most_tries AND next_try_at <= now()
      AND NOT EXISTS (SELECT FROM live WHERE live.saga_id = message.saga_id)""")

# A kill is seldom a message's fault: it comes again soon, and only a failure makes it rest longer.
_CLAIM: Final = text(f"""
    WITH {_DUE},
    page AS (
        SELECT id, sum(items) OVER earlier - items AS items_before,
               sum(bytes) OVER earlier - bytes AS bytes_before
        FROM (SELECT * FROM due ORDER BY id LIMIT :most_items) AS first
        WINDOW earlier AS (ORDER BY id)),
    claimed AS (
        UPDATE message SET state = 'claimed', saga_id = :saga, run_id = :run, tries = tries + 1,
            outcome = NULL,
            next_try_at = now() + random() * make_interval(secs => :delay)
        WHERE id = ANY (ARRAY(
            SELECT id FROM page WHERE items_before < :most_items AND bytes_before < :most_bytes))
        RETURNING id)
    SELECT id FROM claimed ORDER BY id""")
