"""A page of a feed: products from one or several messages, each identity once.

When a page holds the same product twice, the later description is laid over
the earlier one, as if they had been imported one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from commerce_pipelines.domain.catalog import Product, Rejection, Variant


class FeedItem(NamedTuple):
    """One product of a feed and where it stood.

    Attributes:
        message_id: The message that brought it; higher is newer.
        position: Where it stood in that message's list, from 0.
    """

    message_id: int
    position: int
    product: Product


class FeedRow(NamedTuple):
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


class Rejected(NamedTuple):
    """A product of a page that is not taken."""

    message_id: int
    rejection: Rejection


def merge(items: Iterable[FeedItem]) -> tuple[list[FeedRow], list[Rejected]]:
    """Returns each product of the page once, and those that contradict an earlier one.

    Args:
        items: In the order in which they are to take effect.
    """
    slots: list[tuple[str, list[FeedItem]]] = []
    by_external_id: dict[str, list[FeedItem]] = {}
    by_handle: dict[str, list[FeedItem]] = {}
    for item in items:
        product = item.product
        handle = product.given_handle
        if product.external_id:
            slot = by_external_id.get(product.external_id) or _adopted(product, by_handle)
        else:
            slot = by_handle.get(handle)
        if slot is None:
            slot = []
            slots.append((handle, slot))
        if product.handle or not slot:
            by_handle.setdefault(handle, slot)
        if product.external_id:
            by_external_id[product.external_id] = slot
        slot.append(item)
    return _refuse_shared([_row(handle, slot) for handle, slot in slots])


def _adopted(product: Product, by_handle: dict[str, list[FeedItem]]) -> list[FeedItem] | None:
    """Returns the product that an external id is given to by naming its handle."""
    slot = by_handle.get(product.handle or "")
    if slot is None or any(item.product.external_id for item in slot):
        return None
    return slot


def _row(first_handle: str, slot: list[FeedItem]) -> FeedRow:
    product = slot[0].product
    for item in slot[1:]:
        product = _laid_over(product, item.product)
    return FeedRow(
        product=product,
        # A handle made from a title stays when the title changes.
        handle=product.handle or first_handle,
        message_id=slot[-1].message_id,
        feed_hash=_hash(product),
        places=tuple([(item.message_id, item.position) for item in slot]),
    )


def _laid_over(earlier: Product, later: Product) -> Product:
    changes = {name: getattr(later, name) for name in later.model_fields_set}
    if later.handle is None:
        changes.pop("handle", None)
    if "variants" in changes or (later.sku and earlier.variants is not None):
        priced = {variant.key: variant for variant in earlier.sold_as or ()}
        changes["variants"] = [_priced(each, priced) for each in later.sold_as or ()]
    return earlier.model_copy(update=changes)


def _priced(variant: Variant, earlier: dict[str, Variant]) -> Variant:
    """Returns the variant with the prices it had, unless it says other ones."""
    known = earlier.get(variant.key)
    if "prices" in variant.model_fields_set or known is None or known.prices is None:
        return variant
    return variant.model_copy(update={"prices": known.prices})


def _hash(product: Product) -> bytes:
    text = product.model_dump_json(exclude_unset=True)
    return blake2b(text.encode(), digest_size=16).digest()


def _refuse_shared(rows: list[FeedRow]) -> tuple[list[FeedRow], list[Rejected]]:
    kept: list[FeedRow] = []
    rejected: list[Rejected] = []
    taken: set[tuple[str, str]] = set()
    for row in rows:
        claims = _claims(row.product)
        clash = next((claim for claim in claims if claim in taken), None)
        if clash is None:
            taken.update(claims)
            kept.append(row)
        else:
            field, what = clash
            rejected += refuse(row, field, f"{what} belongs to another product of this list")
    return kept, rejected


def _claims(product: Product) -> list[tuple[str, str]]:
    """Returns what only one product can have, each with the field that says so."""
    variants = product.sold_as or []
    skus = [("sku", f"SKU {variant.sku}") for variant in variants if variant.sku]
    ids = [v.external_id for v in variants if v.external_id]
    handles = [("handle", f"handle {product.handle}")] if product.handle else []
    return [*skus, *(("variants", f"external id {id_}") for id_ in ids), *handles]


def refuse(row: FeedRow, field: str, reason: str) -> list[Rejected]:
    """Rejects a product at every place where it stood."""
    return [
        Rejected(message_id, Rejection(position=position, field=field, reason=reason))
        for message_id, position in row.places
    ]
