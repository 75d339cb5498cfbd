"""Reading products with everything that belongs to them.

Belongs here: reads for people and callers. Does not belong here: writing
(`catalog_import.py`, `catalog_undo.py`) and what documents are made from (`documents.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.stored import StoredProduct


def list_products(connection: Connection, *, after: str, limit: int) -> list[StoredProduct]:
    """Returns a page of products in the order of their ids.

    Args:
        connection: The store.
        after: The last id of the page before; empty for the first page.
        limit: How many at most.
    """
    rows = connection.execute(_PAGE, {"after": after, "limit": limit}).mappings()
    return [StoredProduct.model_validate(dict(row)) for row in rows]


def load_product(connection: Connection, product_id: str) -> StoredProduct | None:
    """Returns one product; None when there is none of this id."""
    return next(iter(load_products(connection, [product_id])), None)


def load_products(connection: Connection, product_ids: Sequence[str]) -> list[StoredProduct]:
    """Returns products in the order of the ids, leaving out those that are not there."""
    rows = connection.execute(_BY_ID, {"ids": list(product_ids)}).mappings()
    return [StoredProduct.model_validate(dict(row)) for row in rows]


# What a product is shown with; `wanted` says which and in what order.
_SHOWN: Final = """
    SELECT product.id, product.title, product.handle, product.description, product.status,
           product.images, product.metadata, product.created_at, product.updated_at,
           brand.name AS brand,
           (SELECT min(external_id) FROM external_id
            WHERE internal_id = product.id AND entity = 'product' AND system = 'pim')
               AS external_id,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('title', title, 'values', values)
                                      ORDER BY position), '[]')
            FROM product_option WHERE product_id = product.id) AS options,
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'id', variant.id, 'title', title, 'sku', sku, 'options', options,
                'manage_inventory', manage_inventory,
                'external_id', (SELECT min(external_id) FROM external_id
                    WHERE internal_id = variant.id AND entity = 'variant' AND system = 'pim'),
                'prices', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'amount', CAST(trim_scale(amount) AS text),
                        'currency_code', currency_code, 'min_quantity', min_quantity)
                        ORDER BY currency_code, min_quantity), '[]')
                    FROM price WHERE variant_id = variant.id)) ORDER BY position), '[]')
            FROM variant WHERE product_id = product.id) AS variants
    FROM wanted JOIN product ON product.id = wanted.id
    LEFT JOIN brand ON brand.id = product.brand_id
    ORDER BY wanted.no"""

_PAGE: Final = text(f"""
    WITH wanted AS (
        SELECT id, row_number() OVER (ORDER BY id) AS no FROM product
        WHERE id > :after ORDER BY id LIMIT :limit)
    {_SHOWN}""")

_BY_ID: Final = text(f"""
    WITH wanted AS (
        SELECT id, no FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS asked (id, no))
    {_SHOWN}""")
