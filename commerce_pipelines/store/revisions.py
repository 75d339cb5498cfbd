"""What a saga changed in the store's products, beside how they are now."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text


def count_revisions(connection: Connection, saga_id: str) -> dict[str, int]:
    """Returns how many products an undo of the saga would delete, restore or leave."""
    rows = connection.execute(_COUNT, {"saga": saga_id}).all()
    return {row.undo: row.products for row in rows}


def load_revisions(connection: Connection, saga_id: str, limit: int) -> list[dict[str, Any]]:
    """Returns the products that a saga changed and that are not undone yet.

    `before` is null for a product that it created, `now` for one that is gone; both hold the
    product with its options, variants, prices and external ids. What the saga wrote is what is
    there now where `version_now` is `version_written`; `undo` says what an undo would do.

    Args:
        connection: The store.
        saga_id: The saga.
        limit: At most so many.
    """
    rows = connection.execute(_REVISIONS, {"saga": saga_id, "limit": limit}).mappings()
    return [dict(row) for row in rows]


_UNDO: Final = """CASE WHEN product.version IS DISTINCT FROM revision.version THEN 'leave'
        WHEN revision.before IS NULL THEN 'delete' ELSE 'restore' END AS undo"""

_OPEN: Final = """
    FROM product_revision revision LEFT JOIN product ON product.id = revision.product_id
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL"""

_COUNT: Final = text(f"""
    SELECT undo, count(*) AS products FROM (SELECT {_UNDO} {_OPEN}) AS each
    GROUP BY undo ORDER BY undo""")

_REVISIONS: Final = text(f"""
    WITH changed AS MATERIALIZED (
        SELECT revision.product_id, revision.before, revision.version AS version_written,
               product.version AS version_now, product.saga_id AS saga_now, {_UNDO},
               to_jsonb(product) AS image
        {_OPEN} ORDER BY revision.product_id LIMIT :limit),
    variant_of AS MATERIALIZED (
        SELECT * FROM variant WHERE product_id = ANY (ARRAY(SELECT product_id FROM changed))),
    options AS (
        SELECT product_id, jsonb_agg(one ORDER BY position) AS rows FROM product_option one
        WHERE product_id = ANY (ARRAY(SELECT product_id FROM changed)) GROUP BY 1),
    variants AS (
        SELECT product_id, jsonb_agg(one ORDER BY position, id) AS rows
        FROM variant_of one GROUP BY 1),
    prices AS (
        SELECT product_id, jsonb_agg(price) AS rows
        FROM price JOIN variant_of ON variant_of.id = price.variant_id
        WHERE price.variant_id = ANY (ARRAY(SELECT id FROM variant_of)) GROUP BY 1),
    named AS (
        SELECT product_id, product_id AS internal_id FROM changed
        UNION ALL SELECT product_id, id FROM variant_of),
    external_ids AS (
        SELECT named.product_id, jsonb_agg(one) AS rows
        FROM external_id one JOIN named USING (internal_id)
        WHERE internal_id = ANY (ARRAY(SELECT internal_id FROM named)) GROUP BY 1)
    SELECT product_id, undo, version_written, version_now, saga_now, before,
           image || jsonb_build_object(
               'options', options.rows, 'variants', variants.rows, 'prices', prices.rows,
               'external_ids', external_ids.rows) AS now
    FROM changed LEFT JOIN options USING (product_id) LEFT JOIN variants USING (product_id)
    LEFT JOIN prices USING (product_id) LEFT JOIN external_ids USING (product_id)
    ORDER BY product_id""")
