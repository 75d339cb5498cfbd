"""The ERP's products as a page of a feed, so that one import serves both.

Belongs here: what the ERP's words are in ours. Does not belong here: what of them
counts for a product that the PIM has brought too (`ownership`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from commerce_pipelines.domain.catalog import Product, Rejection, parse_product
from commerce_pipelines.domain.erp_products import ErpProduct, ErpVariant
from commerce_pipelines.domain.feed import FeedItem, FeedRow, Rejected, merge

# No message of the PIM is older.
NO_MESSAGE = 0


def feed_page(products: Sequence[ErpProduct]) -> tuple[list[FeedRow], list[Rejected]]:
    """Returns each product of a page once, as it came last, and those that cannot be stored.

    A rejection's position is the one in the page.
    """
    last = {product.external_id: at for at, product in enumerate(products)}
    read = [(at, parse_product(_payload(products[at]), at)) for at in sorted(last.values())]
    items = [FeedItem(NO_MESSAGE, at, each) for at, each in read if isinstance(each, Product)]
    bad = [Rejected(NO_MESSAGE, each) for _, each in read if isinstance(each, Rejection)]
    rows, contradicting = merge(items)
    return rows, [*bad, *contradicting]


def feed_hash(product: ErpProduct) -> bytes | None:
    """Returns what the store keeps to see that the ERP's word is the same; None for none."""
    rows, _ = feed_page([product])
    return rows[0].feed_hash if rows else None


def _payload(product: ErpProduct) -> dict[str, Any]:
    details = product.details
    payload = {
        "external_id": product.external_id,
        "title": details.title,
        "description": details.description,
        "status": "published" if product.is_active else "archived",
    }
    if not product.is_active:
        # Its variants cannot be bought, whatever the list says.
        return payload
    variants = [_variant(variant) for variant in details.variants]
    return {**payload, "options": _options(details.variants), "variants": variants}


def _variant(variant: ErpVariant) -> dict[str, Any]:
    return {
        "external_id": variant.external_id,
        "sku": variant.sku or None,
        "title": variant.title or None,
        "options": dict(variant.options),
    }


def _options(variants: Sequence[ErpVariant]) -> list[dict[str, Any]]:
    """Returns what there is to choose, in the order in which the variants name it."""
    values: dict[str, dict[str, None]] = {}
    for variant in variants:
        for title, value in variant.options:
            values.setdefault(title, {})[value] = None
    return [{"title": title, "values": list(chosen)} for title, chosen in values.items()]
