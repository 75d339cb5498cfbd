"""Messages of the store to itself: what a change here leaves to be done elsewhere.

They are written in the transaction of the change, so neither is there without the other.
Belongs here: the messages that statements write for many rows at once. Does not belong
here: what is done about them.
"""

from __future__ import annotations

from typing import Final

SOURCE: Final = "store"
BRANDS: Final = "brands"
DOCUMENTS: Final = "documents"
ORDERS: Final = "orders"
PRODUCTS_A_MESSAGE: Final = 500


def announce_brands(brands: str) -> str:
    """Returns SQL that has brands brought to the brand system, a message each.

    A message in the hands of the saga that made its brand waits until that one has ended.

    Args:
        brands: SQL of their rows, `id` and `saga_id`.
    """
    return f"""
        INSERT INTO message (source, webhook_id, topic, aggregate, saga_id, body, body_sha256)
        SELECT '{SOURCE}', id || ':' || gen_random_uuid(), '{BRANDS}', 'brand:' || id, saga_id,
               body, sha256(body)
        FROM ({brands}) AS announced, LATERAL (
            SELECT convert_to(jsonb_build_object('brand_id', id)::text, 'UTF8') AS body) AS told"""


def announce_stale_documents(brands: str) -> str:
    """Returns SQL that has the documents of brands' products looked at, some hundred a message.

    Args:
        brands: SQL of the ids of brands whose names change in this transaction.
    """
    return announce_documents(f"SELECT id FROM product WHERE brand_id IN ({brands})")


def announce_documents(products: str) -> str:
    """Returns SQL that has the documents of products looked at, some hundred a message.

    Args:
        products: SQL of their ids.
    """
    return f"""
        INSERT INTO message (source, webhook_id, topic, item_count, body, body_sha256)
        SELECT '{SOURCE}', 'documents:' || gen_random_uuid(), '{DOCUMENTS}', items, body,
               sha256(body)
        FROM (SELECT count(*) AS items, convert_to(jsonb_agg(id ORDER BY id)::text, 'UTF8') AS body
              FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / {PRODUCTS_A_MESSAGE} AS page
                    FROM ({products}) AS changed) AS stale
              GROUP BY page) AS told"""
