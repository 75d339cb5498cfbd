"""Taking in lists of products: from a body to messages in the inbox.

Belongs here: what is checked at the door, and how a large list is cut into
parts. Does not belong here: HTTP (`endpoint`), and each product on its own,
which the import reads (`pim_import.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from commerce_pipelines.domain.catalog import Product, parse_product, products_of
from commerce_pipelines.domain.strict_json import iterate_array, loads
from commerce_pipelines.errors import InvalidInput
from commerce_pipelines.store.messages import Part

MOST_PART_PRODUCTS = 1_000
MOST_PART_CHARS = 4_000_000
MOST_LIST_PRODUCTS = 1_000_000


def whole(body: bytes) -> Part:
    """Returns a small body as one part, as it came.

    Raises:
        InvalidInput: It is not a list of products.
    """
    payloads = products_of(loads(body))
    return Part(body, len(payloads), _aggregate(payloads))


def parts(chunks: Iterable[str]) -> Iterator[Part]:
    """Cuts a list of any size into parts; one is in memory at a time.

    The parts hold the products' own texts, so every number stays as it was written.

    Raises:
        InvalidInput: It is not a list of products; parts before the fault were yielded.
    """
    texts: list[str] = []
    chars = 0
    aggregate = None
    for number, (payload, text) in enumerate(iterate_array(chunks, "products")):
        if number == MOST_LIST_PRODUCTS:
            raise InvalidInput(f"A list may hold {MOST_LIST_PRODUCTS} products; send several.")
        if len(texts) == MOST_PART_PRODUCTS or (texts and chars + len(text) > MOST_PART_CHARS):
            yield _part(texts)
            texts, chars = [], 0
        texts.append(text)
        chars += len(text)
        aggregate = _aggregate([payload]) if number == 0 else None
    if texts:
        yield _part(texts, aggregate)


def _part(texts: list[str], aggregate: str | None = None) -> Part:
    body = f"[{','.join(texts)}]".encode()
    return Part(body, len(texts), aggregate)


def _aggregate(payloads: list[Any]) -> str | None:
    """Returns what the list is about if that is one product: its messages keep their order."""
    if len(payloads) != 1:
        return None
    product = parse_product(payloads[0], 0)
    if not isinstance(product, Product):
        return None
    return f"product:{product.external_id or product.given_handle}"
