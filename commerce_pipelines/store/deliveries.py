"""A large delivery that is stored part by part, and how far its parts have come.

Belongs here: statements over all parts of one delivery. Does not belong here:
claiming and finishing a message (`messages`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.store.messages import Part


@dataclass(frozen=True)
class DeliveryName:
    """What makes it the same delivery.

    Attributes:
        parts: How many it has, stored or not.
    """

    source: str
    webhook_id: str
    parts: int


@dataclass(frozen=True)
class StoredDelivery:
    """What is stored of a delivery.

    Attributes:
        stored: How many parts.
        unfinished: How many of them are neither done nor dead.
    """

    webhook_id: str
    parts: int
    stored: int
    unfinished: int

    @property
    def over(self) -> bool:
        """Tells whether nothing is left to store or to wait for."""
        return self.stored == self.parts and not self.unfinished


@dataclass(frozen=True)
class Progress:
    """How far a delivery's stored parts have come.

    Attributes:
        message_id: Of the first part, which stands for the delivery; None before it is stored.
        parts: How many are stored.
        unfinished_parts: How many of them are neither done nor dead.
        items: How many things the stored parts hold.
        finished_items: How many of those in finished parts.
        last_error: What the unfinished parts last ran into, if anything.
    """

    message_id: int | None
    parts: int
    unfinished_parts: int
    items: int
    finished_items: int
    last_error: str | None


@dataclass(frozen=True)
class Counts:
    """What became of the products of a delivery; `dead` ones were given up with their part."""

    created: int
    updated: int
    unchanged: int
    rejected: int
    dead: int


def newest_delivery(connection: Connection, source: str, prefix: str) -> StoredDelivery | None:
    """Returns the last delivery of a source whose id starts with a prefix."""
    row = connection.execute(_NEWEST, {"source": source, "prefix": prefix}).mappings().one_or_none()
    return StoredDelivery(**row) if row else None


def stored_parts(connection: Connection, name: DeliveryName) -> set[int]:
    """Returns the numbers of the parts that are stored."""
    return set(
        connection.execute(
            text("SELECT part FROM message WHERE source = :source AND webhook_id = :webhook_id"),
            _named(name),
        ).scalars()
    )


def store_part(
    connection: Connection, name: DeliveryName, topic: str, number: int, part: Part
) -> None:
    """Stores one part, once; it may be worked on from the commit on.

    Args:
        connection: An open transaction.
        name: The delivery.
        topic: What kind of work it is.
        number: Which part it is, from 0.
        part: The part.
    """
    connection.execute(
        _STORE_PART,
        _named(name)
        | {
            "parts": name.parts,
            "part": number,
            "topic": topic,
            "item_count": part.item_count,
            "body": part.body,
            "hash": sha256(part.body).digest(),
        },
    )


def progress_of(connection: Connection, name: DeliveryName) -> Progress:
    """Returns how far a delivery has come."""
    return Progress(**connection.execute(_PROGRESS, _named(name)).mappings().one())


def count_outcomes(connection: Connection, name: DeliveryName) -> Counts:
    """Returns what became of the products in the finished parts."""
    return Counts(**connection.execute(_COUNTS, _named(name)).mappings().one())


def iterate_refusals(connection: Connection, name: DeliveryName) -> Iterator[dict[str, Any]]:
    """Yields what was not taken: position in the whole delivery, field and reason.

    A part that is dead gives one entry, with how many `products` it holds from that position on.
    """
    position = 0
    rows = connection.execution_options(yield_per=10).execute(_REFUSALS, _named(name))
    for row in rows:
        if row.state == "dead":
            products = {"products": row.item_count, "message_id": row.id}
            yield {"position": position, "field": "", "reason": row.last_error, **products}
        for refusal in row.rejected or ():
            yield {**refusal, "position": position + refusal["position"]}
        position += row.item_count


def _named(name: DeliveryName) -> dict[str, Any]:
    return {"source": name.source, "webhook_id": name.webhook_id}


_NEWEST: Final = text("""
    SELECT webhook_id, max(parts) AS parts, count(*) AS stored,
           count(*) FILTER (WHERE state IN ('new', 'claimed')) AS unfinished
    FROM message WHERE source = :source AND starts_with(webhook_id, :prefix)
    GROUP BY webhook_id ORDER BY max(id) DESC LIMIT 1""")

_STORE_PART: Final = text("""
    INSERT INTO message (source, webhook_id, part, parts, topic, item_count, body, body_sha256)
    VALUES (:source, :webhook_id, :part, :parts, :topic, :item_count, :body, :hash)
    ON CONFLICT (source, webhook_id, part) DO NOTHING""")

_PROGRESS: Final = text("""
    SELECT min(id) FILTER (WHERE part = 0) AS message_id, count(*) AS parts,
           count(*) FILTER (WHERE state IN ('new', 'claimed')) AS unfinished_parts,
           CAST(coalesce(sum(item_count), 0) AS bigint) AS items,
           CAST(coalesce(sum(item_count) FILTER (WHERE state NOT IN ('new', 'claimed')), 0)
                AS bigint) AS finished_items,
           max(last_error) FILTER (WHERE state IN ('new', 'claimed')) AS last_error
    FROM message WHERE source = :source AND webhook_id = :webhook_id""")

_COUNTS: Final = text("""
    SELECT CAST(coalesce(sum((outcome->>'created')::bigint), 0) AS bigint) AS created,
           CAST(coalesce(sum((outcome->>'updated')::bigint), 0) AS bigint) AS updated,
           CAST(coalesce(sum((outcome->>'unchanged')::bigint), 0) AS bigint) AS unchanged,
           CAST(coalesce(sum(jsonb_array_length(outcome->'rejected')), 0) AS bigint) AS rejected,
           CAST(coalesce(sum(item_count) FILTER (WHERE state = 'dead'), 0) AS bigint) AS dead
    FROM message
    WHERE source = :source AND webhook_id = :webhook_id AND state IN ('done', 'dead')""")

_REFUSALS: Final = text("""
    SELECT id, state, item_count, last_error, outcome->'rejected' AS rejected
    FROM message WHERE source = :source AND webhook_id = :webhook_id ORDER BY part""")
