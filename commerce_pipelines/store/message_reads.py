"""Reading the inbox: a delivery as one thing, however many parts it has.

Belongs here: what is shown of a delivery, whether it is known or finished, and how
many are not. Does not belong here: changes of state (`messages.py`). A delivery's
id is its first part's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

MOST_LISTED = 1_000


@dataclass(frozen=True)
class Outcome:
    """What became of a delivery's products, over its finished parts.

    Attributes:
        rejected_count: How many were not taken.
        rejected: `{position, field, reason}` of the first `MOST_LISTED`; positions are
            those of the whole list.
        product_count: How many were taken.
        products: The ids of the first `MOST_LISTED`, in the order of the list.
    """

    created: int
    updated: int
    unchanged: int
    rejected_count: int
    rejected: list[dict[str, Any]]
    product_count: int
    products: list[str]


@dataclass(frozen=True)
class Delivery:
    """One delivery.

    Attributes:
        state: Finished only when all parts are; dead when one of them is.
        tries: Of the part that was tried most.
        saga_id: Of the first part that is not done, or else of the first; so is `run_id`.
        item_count: How many things it brought.
        outcome: None until a part is done.
    """

    id: int
    source: str
    topic: str
    state: str
    tries: int
    received_at: datetime
    finished_at: datetime | None
    saga_id: str | None
    run_id: str | None
    last_error: str | None
    parts: int
    item_count: int
    outcome: Outcome | None


def load_delivery(connection: Connection, message_id: int) -> Delivery | None:
    """Returns the delivery that a message belongs to; None when there is none."""
    row = connection.execute(_DELIVERY, {"id": message_id}).mappings().one()
    if row["id"] is None:
        return None
    outcome = _load_outcome(connection, message_id) if row["some_done"] else None
    shown = {name: value for name, value in row.items() if name != "some_done"}
    return Delivery(**shown, outcome=outcome)


def _load_outcome(connection: Connection, message_id: int) -> Outcome:
    counts = connection.execute(_COUNTS, {"id": message_id}).mappings().one()
    rejected = connection.execute(_REJECTED, {"id": message_id, "most": MOST_LISTED}).mappings()
    return Outcome(
        **counts,
        rejected=[dict(row) for row in rejected],
        products=load_product_ids(connection, message_id, MOST_LISTED),
    )


@dataclass(frozen=True)
class Noted:
    """One message with what was noted of it, as it was noted."""

    saga_id: str | None
    outcome: dict[str, Any] | None
    last_error: str | None


def load_noted(connection: Connection, message_id: int) -> Noted:
    """Returns what was noted of a message."""
    statement = text("SELECT saga_id, outcome, last_error FROM message WHERE id = :id")
    return Noted(*connection.execute(statement, {"id": message_id}).one())


def load_product_ids(connection: Connection, message_id: int, most: int) -> list[str]:
    """Returns the ids of a delivery's products in the order of its list, without the rejected."""
    return list(connection.execute(_PRODUCT_IDS, {"id": message_id, "most": most}).scalars())


def count_items(connection: Connection, message_ids: Sequence[int]) -> int:
    """Returns how many things some messages hold."""
    counted = text("SELECT sum(item_count) FROM message WHERE id = ANY(:ids)")
    return int(connection.execute(counted, {"ids": list(message_ids)}).scalar_one() or 0)


def finished_among(connection: Connection, message_ids: Collection[int]) -> set[int]:
    """Returns which of these deliveries are finished, well or not."""
    return set(connection.execute(_FINISHED, {"ids": list(message_ids)}).scalars())


def count_waiting(connection: Connection, most: int) -> int:
    """Returns how many messages are not finished, counting no further than `most`."""
    return int(connection.execute(_COUNT_WAITING, {"most": most}).scalar_one())


def is_known(connection: Connection, source: str, webhook_id: str) -> bool:
    """Tells whether a delivery is stored."""
    names = {"source": source, "webhook_id": webhook_id}
    return bool(connection.execute(_IS_KNOWN, names).scalar_one())


_COUNT_WAITING: Final = text("""
    SELECT count(*) FROM (
        SELECT FROM message WHERE state IN ('new', 'claimed') LIMIT :most) AS waiting""")

_IS_KNOWN: Final = text("""
    SELECT EXISTS (SELECT FROM message WHERE source = :source AND webhook_id = :webhook_id)""")

_PARTS: Final = """
    WITH asked AS (SELECT source, webhook_id FROM message WHERE id = :id),
    part AS (
        SELECT message.id, part AS no, parts, state, outcome, tries, source, topic, received_at,
               finished_at, saga_id, run_id, last_error, item_count,
               sum(item_count) OVER (ORDER BY part) - item_count AS start
        FROM message JOIN asked USING (source, webhook_id))"""

_DELIVERY: Final = text(f"""{_PARTS}
    SELECT min(id) FILTER (WHERE no = 0) AS id, min(source) AS source, min(topic) AS topic,
           max(tries) AS tries, min(received_at) AS received_at,
           CASE WHEN count(*) = max(parts) AND bool_and(state NOT IN ('new', 'claimed'))
                THEN max(finished_at) END AS finished_at,
           CASE WHEN bool_and(state = 'new') THEN 'new'
                WHEN count(*) < max(parts) OR bool_or(state IN ('new', 'claimed')) THEN 'claimed'
                WHEN bool_or(state = 'dead') THEN 'dead'
                ELSE 'done' END AS state,
           (array_agg(saga_id ORDER BY state = 'done', no))[1] AS saga_id,
           (array_agg(run_id ORDER BY state = 'done', no))[1] AS run_id,
           (array_agg(last_error ORDER BY no) FILTER (WHERE last_error IS NOT NULL))[1]
               AS last_error,
           max(parts) AS parts, sum(item_count) AS item_count,
           bool_or(state = 'done') AS some_done
    FROM part""")

_COUNTS: Final = text(f"""{_PARTS}
    SELECT coalesce(sum(CAST(outcome->>'created' AS int)), 0) AS created,
           coalesce(sum(CAST(outcome->>'updated' AS int)), 0) AS updated,
           coalesce(sum(CAST(outcome->>'unchanged' AS int)), 0) AS unchanged,
           coalesce(sum(jsonb_array_length(outcome->'rejected')), 0) AS rejected_count,
           coalesce(sum((SELECT count(*) FROM jsonb_array_elements(outcome->'products') AS product
                         WHERE product <> 'null')), 0) AS product_count
    FROM part WHERE state = 'done'""")

_REJECTED: Final = text(f"""{_PARTS}
    SELECT CAST(rejection->>'position' AS int) + start AS position,
           rejection->>'field' AS field, rejection->>'reason' AS reason
    FROM part, jsonb_array_elements(outcome->'rejected') AS rejection
    WHERE state = 'done' ORDER BY position LIMIT :most""")

_PRODUCT_IDS: Final = text(f"""{_PARTS}
    SELECT product.id
    FROM part, jsonb_array_elements_text(outcome->'products') WITH ORDINALITY AS product (id, at)
    WHERE state = 'done' AND product.id IS NOT NULL ORDER BY no, at LIMIT :most""")

_FINISHED: Final = text("""
    SELECT asked.id FROM message asked
    WHERE asked.id = ANY(:ids) AND NOT EXISTS (
        SELECT FROM message part
        WHERE part.source = asked.source AND part.webhook_id = asked.webhook_id
          AND part.state IN ('new', 'claimed'))""")
