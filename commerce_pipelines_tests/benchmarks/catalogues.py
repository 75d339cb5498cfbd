"""Catalogues of any size, made while they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine

from commerce_pipelines.services.pim_import import TOPIC
from commerce_pipelines.store.messages import Part, receive

PART_ITEMS = 1_000


def simple(number: int) -> dict[str, Any]:
    """Returns a product of title and description only."""
    return {"title": f"Test product {number}", "description": f"Product {number} description"}


def priced(number: int) -> dict[str, Any]:
    """Returns a product with one option and three variants with a price each."""
    return {
        "external_id": f"item-{number}",
        "title": f"Item {number}",
        "description": f"What there is to say about item {number}, in a sentence or two.",
        "brand": f"Brand {number % 50}",
        "options": [{"title": "Size", "values": ["S", "M", "L"]}],
        "variants": [
            {
                "sku": f"ITEM-{number}-{size}",
                "title": size,
                "options": {"Size": size},
                "prices": [{"amount": f"{number % 90 + 9}.90", "currency_code": "EUR"}],
            }
            for size in ("S", "M", "L")
        ],
    }


SHAPES = {"title and description": simple, "three priced variants": priced}


def deliver(engine: Engine, shape: str, count: int, webhook_id: str) -> None:
    """Puts a catalogue into the inbox, in parts as the endpoint cuts them."""
    with engine.begin() as connection:
        receive(connection, "bench", webhook_id, TOPIC, list(_parts(shape, count)))


def _parts(shape: str, count: int) -> Iterator[Part]:
    make = SHAPES[shape]
    for start in range(0, count, PART_ITEMS):
        items = [make(number) for number in range(start, min(start + PART_ITEMS, count))]
        yield Part(json.dumps(items).encode(), len(items))
