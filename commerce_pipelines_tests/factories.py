"""Products and messages for tests: as plain as possible, changed where a test says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from commerce_pipelines.domain.catalog import Product, parse_product
from commerce_pipelines.domain.feed import FeedItem, FeedRow, merge
from commerce_pipelines.store import messages

Payload = dict[str, Any]

TOPIC = "products"


def product(number: int = 1, **changes: Any) -> Payload:
    """Returns a product with an external id and a title of its own."""
    return {"external_id": f"e{number}", "title": f"Product {number}", **changes}


def full_product(number: int = 1, **changes: Any) -> Payload:
    """Returns a product that has everything a product can have."""
    everything = {
        "description": f"Description {number}",
        "handle": f"product-{number}",
        "status": "published",
        "brand": "Acme",
        "images": [f"https://example.com/{number}.jpg"],
        "options": [{"title": "Size", "values": ["S", "M"]}],
        "variants": [variant(f"{number}-{size}", size) for size in ("S", "M")],
        "metadata": {"colour": "red"},
    }
    return product(number, **{**everything, **changes})


def variant(code: str, size: str = "S", **changes: Any) -> Payload:
    """Returns a variant with an external id, a SKU and a price."""
    return {
        "external_id": f"v-{code}",
        "sku": f"sku-{code}",
        "title": size,
        "options": {"Size": size},
        "prices": [price("9.99")],
        **changes,
    }


def price(amount: str, currency_code: str = "EUR", **changes: Any) -> Payload:
    """Returns the price of one unit."""
    return {"amount": amount, "currency_code": currency_code, **changes}


def feed_items(payloads: Sequence[Payload], message_id: int = 1) -> list[FeedItem]:
    """Returns a message's products as the import reads them; all must be good."""
    items = []
    for position, payload in enumerate(payloads):
        read = parse_product(payload, position)
        assert isinstance(read, Product), read
        items.append(FeedItem(message_id, position, read))
    return items


def feed_rows(*payloads: Payload, message_id: int = 1) -> list[FeedRow]:
    """Returns a page; none of its products may contradict another."""
    rows, rejected = merge(feed_items(payloads, message_id))
    assert not rejected, rejected
    return rows


def deliver(connection: Connection, webhook_id: str, *products: Any) -> messages.Receipt:
    """Puts a list of products into the inbox, as a webhook of the PIM does."""
    body = json.dumps(products).encode()
    part = messages.Part(body, len(products))
    return messages.receive(connection, "pim", webhook_id, TOPIC, [part])
