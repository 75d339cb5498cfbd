"""What a product looks like in the CMS, and how to get it from what is there to that.

Sanity's rules behind the shapes: ids have no dots, or anonymous readers would
not see the documents; objects in arrays need a `_key`; option names are values,
not attribute names, for a dataset has a limited number of attributes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from commerce_pipelines.saga.step import JSON
from commerce_pipelines.store.documents import ProductContent

DOCUMENT_TYPE = "product"


@dataclass(frozen=True)
class WantedDocument:
    """A product's document as the feed wants it.

    Attributes:
        feed_fields: Always as here; None means absent.
        seeded_fields: Given once, then the editors'.
    """

    product_id: str
    version: int
    document_id: str
    feed_fields: JSON
    seeded_fields: JSON
    content_hash: bytes


def document_id(product_id: str) -> str:
    """Returns the id of a product's document: the same for the same product, everywhere."""
    return "product-" + product_id.removeprefix("prod_")


def wanted_document(content: ProductContent) -> WantedDocument:
    """Makes the document that shows a product; an archived one is marked, never deleted."""
    fields: JSON = {
        "title": content.title,
        "handle": content.handle,
        "description": content.description,
        "status": content.status,
        "brand": content.brand,
        "productId": content.product_id,
        "externalId": content.external_id,
        "images": [
            {"_key": f"{at}-{_key(url)}", "_type": "productImage", "url": url}
            for at, url in enumerate(content.images)
        ],
        "options": [
            {"_key": _key(option["title"]), "_type": "productOption", **option}
            for option in content.options
        ],
        "variants": [_variant(variant) for variant in content.variants],
    }
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False)
    return WantedDocument(
        product_id=content.product_id,
        version=content.version,
        document_id=document_id(content.product_id),
        feed_fields=fields,
        seeded_fields={"slug": {"_type": "slug", "current": content.handle}},
        content_hash=blake2b(text.encode(), digest_size=16).digest(),
    )


def planned_write(wanted: WantedDocument, current: JSON | None) -> JSON:
    """Returns one entry of a `WriteDocuments` plan, with the before-image of our fields."""
    present = {name: value for name, value in wanted.feed_fields.items() if value is not None}
    there = current or {}
    seed = {name: v for name, v in wanted.seeded_fields.items() if name not in there}
    touched = [*wanted.feed_fields, *seed]
    return {
        "id": wanted.document_id,
        "create": current is None,
        "set": {"_type": DOCUMENT_TYPE, **present} if current is None else present,
        "seed": seed,
        "unset": [n for n, v in wanted.feed_fields.items() if v is None and n in there],
        "before": {name: there[name] for name in touched if name in there},
        "revision": there.get("_rev"),
    }


def _variant(variant: dict[str, Any]) -> JSON:
    shown = {
        "_key": _key(variant["id"]),
        "_type": "productVariant",
        "variantId": variant["id"],
        "title": variant["title"],
        "options": [
            {"_key": _key(name), "_type": "variantOption", "name": name, "value": value}
            for name, value in sorted(variant["options"].items())
        ],
    }
    if variant["sku"] is not None:
        shown["sku"] = variant["sku"]
    return shown


def _key(text: str) -> str:
    return blake2b(text.encode(), digest_size=6).hexdigest()
