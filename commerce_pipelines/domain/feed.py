"""A page of a feed: products from one or several messages, each identity once.

When a page holds the same product twice, the later description is laid over
the earlier one, as if they had been imported one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from commerce_pipelines.domain.catalog import Product, Rejection


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One product of a feed and where it stood.

    Attributes:
        message_id: The message that brought it; higher is newer.
        position: Where it stood in that message's list, from 0.
    """

    message_id: int
    position: int
    product: Product


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One product to store: the newest word on it, and all the places it stood.

    Attributes:
        handle: The feed's handle or the one made from the title.
        feed_hash: Equal for equal descriptions, so an unchanged product is seen without reading it.
        places: (message id, position) of each description that was laid into this one.
    """

    product: Product
    handle: str
    message_id: int
    feed_hash: bytes
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A product of a page that is not taken."""

    message_id: int
    rejection: Rejection


def merge(items: Iterable[FeedItem]) -> tuple[list[FeedRow], list[Rejected]]:
    """Returns each product of the page once, and those that contradict an earlier one.

    Args:
        items: In the order in which they are to take effect.
    """
    slots: list[list[FeedItem]] = []
    by_external_id: dict[str, list[FeedItem]] = {}
    by_handle: dict[str, list[FeedItem]] = {}
    for item in items:
        product = item.product
        if product.external_id:
            slot = by_external_id.get(product.external_id)
        else:
            slot = by_handle.get(product.given_handle)
        if slot is None:
            slot = []
            slots.append(slot)
        slot.append(item)
        if product.external_id:
            by_external_id[product.external_id] = slot
            by_handle.setdefault(product.given_handle, slot)
        else:
            by_handle[product.given_handle] = slot
    return _refuse_shared([_row(slot) for slot in slots])


def _row(slot: list[FeedItem]) -> FeedRow:
    product = slot[0].product
    for item in slot[1:]:
        changes = {name: getattr(item.product, name) for name in item.product.model_fields_set}
        product = product.model_copy(update=changes)
    return FeedRow(
        product=product,
        handle=product.given_handle,
        message_id=slot[-1].message_id,
        feed_hash=_hash(product),
        places=tuple((item.message_id, item.position) for item in slot),
    )


def _hash(product: Product) -> bytes:
    text = product.model_dump_json(exclude_unset=True)
    return blake2b(text.encode(), digest_size=16).digest()


def _refuse_shared(rows: list[FeedRow]) -> tuple[list[FeedRow], list[Rejected]]:
    kept: list[FeedRow] = []
    rejected: list[Rejected] = []
    skus: set[str] = set()
    handles: set[str] = set()
    for row in rows:
        mine = [variant.sku for variant in row.product.sold_as or () if variant.sku]
        taken = next((sku for sku in mine if sku in skus), None)
        if taken is not None:
            rejected += refuse(row, "sku", f"SKU {taken} belongs to another product of this list")
        elif row.product.handle and row.product.handle in handles:
            reason = f"handle {row.handle} belongs to another product of this list"
            rejected += refuse(row, "handle", reason)
        else:
            skus.update(mine)
            if row.product.handle:
                handles.add(row.product.handle)
            kept.append(row)
    return kept, rejected


def refuse(row: FeedRow, field: str, reason: str) -> list[Rejected]:
    """Rejects a product at every place where it stood."""
    return [
        Rejected(message_id, Rejection(position=position, field=field, reason=reason))
        for message_id, position in row.places
    ]
