"""What the ERP says of orders: the newest word by its time counts, and can be taken back.

Belongs here: statements over many orders at once, with their before-images in
`order_revision`. Does not belong here: what a word of the ERP means (`domain/orders`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.domain.orders import OrderStatus


class Verdict(StrEnum):
    """What became of a word of the ERP."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    OLDER = "older"
    UNKNOWN_ORDER = "unknown_order"
    OTHER_ORDER = "other_order"
    EARLY = "early"


class StatusWord(NamedTuple):
    """A word of the ERP on one order.

    Attributes:
        external_id: The order there.
        reference: Our id of it, if it is said.
        status: What the word means here.
        word: The word itself.
        changed_at: When that was there, aware.
    """

    external_id: str
    reference: str | None
    status: OrderStatus
    word: str
    changed_at: datetime


class Applied(NamedTuple):
    """What became of a word, in the order in which they were given.

    Attributes:
        order_id: Our order; None if there is none.
        before: Its status until then.
    """

    verdict: Verdict
    order_id: str | None
    before: str | None


def apply_statuses(
    connection: Connection, saga_id: str, words: Iterable[StatusWord]
) -> list[Applied]:
    """Gives each order the newest status that the ERP has said, where that is newer.

    `other_order` is a word on an order of the ERP that is not the one that ours is now, say
    a draft of an export that was undone. `early` is a cancellation before we know which
    order of the ERP ours is: it may be that of such a draft.
    """
    given = [
        {**word._asdict(), "n": n, "changed_at": word.changed_at.isoformat()}
        for n, word in enumerate(words)
    ]
    if not given:
        return []
    rows = connection.execute(_APPLY, {"words": given, "saga": saga_id})
    return [Applied(Verdict(row.verdict), row.order_id, row.before) for row in rows]


def restore_statuses(connection: Connection, saga_id: str) -> dict[str, int]:
    """Takes back what a saga applied, where nobody has changed the order since.

    Returns:
        How many orders were restored, and how many are left as somebody else changed them.
    """
    row = connection.execute(RESTORE_STATUSES, {"saga": saga_id}).one()
    return {"restored": row.restored, "superseded": row.superseded}


def news_among(
    connection: Connection, changes: Iterable[tuple[str, str | None, datetime]]
) -> set[str]:
    """Returns the ERP's ids of those orders of ours that have changed since we last heard.

    Args:
        connection: The store.
        changes: Of each order its id there, our id if it is said, and when it changed.
    """
    names = ("external_id", "reference", "changed_at")
    given = [dict(zip(names, (*ids, at.isoformat()), strict=True)) for *ids, at in changes]
    return set(connection.execute(_NEWS, {"words": given}).scalars())


_NEWS: Final = text("""
    SELECT given.external_id
    FROM jsonb_to_recordset(:words) AS given (
        external_id text, reference text, changed_at timestamptz)
    LEFT JOIN external_id linked ON linked.system = 'erp' AND linked.entity = 'order'
        AND linked.external_id = given.external_id
    JOIN store_order ON store_order.id = coalesce(linked.internal_id, given.reference)
    WHERE erp_changed_at IS NULL OR erp_changed_at < changed_at""").bindparams(
    bindparam("words", type_=JSONB)
)

# Orders are locked in the order of their ids, as everybody does. By our reference only an order
# is found that is not linked to another one there.
_APPLY: Final = text("""
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(:words) AS given (
            n int, external_id text, reference text, status text, word text,
            changed_at timestamptz)),
    found AS MATERIALIZED (
        SELECT given.*, coalesce(linked.internal_id, referred.id) AS order_id,
               linked.internal_id IS NULL AND other.external_id IS NOT NULL AS is_other,
               linked.internal_id IS NULL AS by_reference
        FROM given
        LEFT JOIN external_id linked ON linked.system = 'erp' AND linked.entity = 'order'
            AND linked.external_id = given.external_id
        LEFT JOIN store_order referred ON referred.id = given.reference
        LEFT JOIN external_id other ON other.internal_id = referred.id
            AND other.system = 'erp' AND other.entity = 'order'),
    locked AS MATERIALIZED (
        SELECT id, version, status, erp_status, erp_changed_at, saga_id FROM store_order
        WHERE id IN (SELECT order_id FROM found) ORDER BY id FOR UPDATE),
    ranked AS (
        SELECT n, row_number() OVER (
            PARTITION BY order_id ORDER BY changed_at DESC, n) AS rank
        FROM found WHERE NOT is_other AND NOT (by_reference AND status = 'cancelled')),
    judged AS MATERIALIZED (
        SELECT found.*, locked.status AS before,
            CASE WHEN locked.id IS NULL THEN 'unknown_order'
                 WHEN is_other THEN 'other_order'
                 WHEN by_reference AND found.status = 'cancelled' THEN 'early'
                 WHEN rank > 1 OR changed_at <= erp_changed_at THEN 'older'
                 WHEN found.status = locked.status THEN 'unchanged'
                 ELSE 'applied' END AS verdict
        FROM found LEFT JOIN locked ON locked.id = found.order_id LEFT JOIN ranked USING (n)),
    changed AS (
        UPDATE store_order SET status = judged.status, erp_status = judged.word,
            erp_changed_at = judged.changed_at, version = version + 1, saga_id = :saga,
            updated_at = now()
        FROM judged
        WHERE store_order.id = judged.order_id AND verdict IN ('applied', 'unchanged')
        RETURNING store_order.id, store_order.version),
    kept AS (
        INSERT INTO order_revision (order_id, saga_id, version, before)
        SELECT changed.id, :saga, changed.version, jsonb_build_object(
            'status', locked.status, 'erp_status', locked.erp_status,
            'erp_changed_at', locked.erp_changed_at, 'saga_id', locked.saga_id)
        FROM changed JOIN locked USING (id))
    SELECT verdict, order_id, before FROM judged ORDER BY n""").bindparams(
    bindparam("words", type_=JSONB)
)

RESTORE_STATUSES: Final = text("""
    WITH mine AS MATERIALIZED (
        SELECT order_id, version, before FROM order_revision
        WHERE saga_id = :saga AND undone_at IS NULL),
    kept_out AS MATERIALIZED (
        SELECT id FROM store_order WHERE id IN (SELECT order_id FROM mine)
        ORDER BY id FOR UPDATE),
    restored AS (
        UPDATE store_order SET status = before->>'status', erp_status = before->>'erp_status',
            erp_changed_at = CAST(before->>'erp_changed_at' AS timestamptz),
            saga_id = before->>'saga_id', version = store_order.version + 1, updated_at = now()
        FROM mine JOIN kept_out ON kept_out.id = mine.order_id
        WHERE store_order.id = mine.order_id AND store_order.version = mine.version
        RETURNING store_order.id),
    marked AS (
        UPDATE order_revision SET undone_at = now()
        WHERE saga_id = :saga AND undone_at IS NULL)
    SELECT (SELECT count(*) FROM restored) AS restored,
           (SELECT count(*) FROM mine) - (SELECT count(*) FROM restored) AS superseded""")
