"""What is sent by the reference contract, checked before it goes out.

Belongs here: paths, moments, headers and bodies. Does not belong here: orders
(`rest_orders`), sending (`rest`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from commerce_pipelines.connectors.texts import header_safe, idempotency, path_part
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.errors import InvalidInput


def product_path(external_id: str) -> str:
    """Returns the path of a product.

    Raises:
        InvalidInput: This cannot be an id.
    """
    return f"/products/{path_part(external_id, 'a product')}"


def order_path(external_id: str) -> str:
    """Returns the path of an order.

    Raises:
        InvalidInput: This cannot be an id.
    """
    return f"/orders/{path_part(external_id, 'an order')}"


def moment_text(moment: datetime) -> str:
    """Returns a moment as the contract has it: UTC, with microseconds.

    Raises:
        InvalidInput: It has no zone.
    """
    if moment.tzinfo is None:
        raise InvalidInput("A moment without a zone says nothing about another system's time.")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def body_of(content: dict[str, Any]) -> bytes:
    """Returns a body as JSON.

    Raises:
        InvalidInput: A text in it cannot be sent.
    """
    try:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise InvalidInput("A text contains half a character.") from None


def details_body(details: ErpDetails) -> dict[str, Any]:
    """Returns a product's details as they are sent."""
    return {
        "title": details.title,
        "description": details.description,
        "variants": [_variant_body(variant) for variant in details.variants],
    }


def write_headers(seen: ErpProduct, idempotency_key: str) -> dict[str, str]:
    """Returns the headers by which a change is for what was seen, and has one effect.

    Raises:
        InvalidInput: The product has no revision, or one of the two cannot be sent.
    """
    if seen.revision is None or not header_safe(seen.revision):
        raise InvalidInput("A product without its revision was not read here.")
    return {"If-Match": seen.revision, **idempotency(idempotency_key)}


def parts(names: Sequence[str], most: int) -> Iterator[list[str]]:
    """Yields the names, each once, in lists that are not too long."""
    distinct = list(dict.fromkeys(names))
    for start in range(0, len(distinct), most):
        yield distinct[start : start + most]


def _variant_body(variant: ErpVariant) -> dict[str, Any]:
    return {
        "id": variant.external_id,
        "sku": variant.sku,
        "title": variant.title,
        "options": [{"name": name, "value": value} for name, value in variant.options],
    }
