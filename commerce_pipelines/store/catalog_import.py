"""Upserting a staged page of products: a few statements, however many products.

Before-images go into `product_revision` in the statement that changes the
products; the undo (`catalog_undo.py`) is a join over them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.feed import FeedRow, Rejected, refuse
from commerce_pipelines.errors import Busy
from commerce_pipelines.store.staging import stage


@dataclass(frozen=True)
class ImportedRow:
    """What became of one product of the page.

    Attributes:
        action: create, update, unchanged or stale (an older word than the stored one).
    """

    row: FeedRow
    product_id: str
    action: str


def upsert_products(
    connection: Connection, saga_id: str, system: str, rows: Sequence[FeedRow]
) -> tuple[list[ImportedRow], list[Rejected]]:
    """Creates or updates a page of products with their options, variants and prices.

    Args:
        connection: An open transaction.
        saga_id: The saga that the changes belong to.
        system: Whose external ids these are.
        rows: Each product once.

    Returns:
        What became of each product that was taken, and those that were not.

    Raises:
        Busy: Another saga is changing one of the products.
    """
    names = {"saga": saga_id, "system": system}
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('catalog_import'))"))
    stage(connection, rows)
    for statement in (_MATCH, _DECIDE, _ANALYZE, _REFUSE_HANDLES, _REFUSE_SKUS):
        connection.execute(statement, names)
    _refuse_while_busy(connection)
    _give_free_handles(connection)
    for statement in _CHANGES:
        connection.execute(statement, names)
    return _read_result(connection, rows)


def _refuse_while_busy(connection: Connection) -> None:
    saga_id = connection.execute(
        text("SELECT note FROM staged_product WHERE action = 'busy' LIMIT 1")
    ).scalar()
    if saga_id is not None:
        raise Busy(f"Saga {saga_id} is changing some of these products.")


def _give_free_handles(connection: Connection) -> None:
    """Numbers the new products whose handle, made from the title, is taken: mug, mug-2, mug-3."""
    colliding = connection.execute(_COLLIDING_HANDLES).all()
    if not colliding:
        return
    taken = set(
        connection.execute(
            _HANDLE_FAMILIES, {"handles": sorted({row.handle for row in colliding})}
        ).scalars()
    )
    next_number: dict[str, int] = defaultdict(lambda: 2)
    given = []
    for row in colliding:
        number = next_number[row.handle]
        while f"{row.handle}-{number}" in taken:
            number += 1
        next_number[row.handle] = number + 1
        given.append({"no": row.no, "handle": f"{row.handle}-{number}"})
        taken.add(f"{row.handle}-{number}")
    connection.execute(text("UPDATE staged_product SET handle = :handle WHERE no = :no"), given)


def _read_result(
    connection: Connection, rows: Sequence[FeedRow]
) -> tuple[list[ImportedRow], list[Rejected]]:
    imported: list[ImportedRow] = []
    rejected: list[Rejected] = []
    for result in connection.execute(
        text("SELECT no, product_id, action, note FROM staged_product ORDER BY no")
    ):
        row = rows[result.no]
        if result.action == "refused":
            field, _, reason = result.note.partition(": ")
            rejected += refuse(row, field, reason)
        else:
            imported.append(ImportedRow(row, result.product_id, result.action))
    return imported, rejected


# Which stored product is it: by external id; else by handle, unless that one has another
# external id of this system.
_MATCH: Final = text("""
    UPDATE staged_product staged SET product_id = coalesce(by_id.internal_id, by_handle.id)
    FROM staged_product self
    LEFT JOIN external_id by_id ON by_id.system = :system AND by_id.entity = 'product'
         AND by_id.external_id = self.external_id
    LEFT JOIN product by_handle ON by_id.internal_id IS NULL AND by_handle.handle = self.handle
         AND (self.external_id IS NULL
              OR self.own_handle AND NOT EXISTS (
                  SELECT FROM external_id other WHERE other.system = :system
                     AND other.entity = 'product' AND other.internal_id = by_handle.id))
    WHERE staged.no = self.no""")

# What is to be done with it. The row lock keeps other writers out until the commit.
_DECIDE: Final = text("""
    WITH known AS (
        SELECT product.id, product.feed_hash, product.message_id, product.saga_id
        FROM product WHERE product.id IN (SELECT product_id FROM staged_product)
        ORDER BY product.id FOR UPDATE)
    UPDATE staged_product staged
    SET product_id = coalesce(staged.product_id, staged.new_id),
        action = CASE
            WHEN known.id IS NULL THEN 'create'
            WHEN holder.status = 'parked' THEN 'refused'
            WHEN holder.status IS NOT NULL THEN 'busy'
            WHEN known.message_id > self.message_id THEN 'stale'
            WHEN known.feed_hash = self.feed_hash THEN 'unchanged'
            WHEN self.turn > 1 THEN 'refused'
            ELSE 'update' END,
        note = CASE
            WHEN holder.status = 'parked' THEN ': is held by the parked saga ' || holder.saga_id
            WHEN holder.status IS NOT NULL THEN holder.saga_id
            WHEN self.turn > 1 THEN ': is the same product as another one of this list' END
    FROM (SELECT *, row_number() OVER (PARTITION BY product_id ORDER BY no DESC) AS turn
          FROM staged_product) AS self
    LEFT JOIN known ON known.id = self.product_id
    LEFT JOIN saga holder ON holder.saga_id = known.saga_id
         AND holder.status IN ('running', 'aborting', 'parked') AND holder.saga_id <> :saga
    WHERE staged.no = self.no""")

# Without it the planner takes a page of thousands for one row, and loops.
_ANALYZE: Final = text("ANALYZE staged_product (no, product_id, action)")

# A handle that the feed chose itself is never changed behind its back.
_REFUSE_HANDLES: Final = text("""
    UPDATE staged_product staged
    SET action = 'refused', note = 'handle: ' || staged.handle || ' belongs to another product'
    FROM product WHERE staged.action IN ('create', 'update') AND staged.own_handle
     AND product.handle = staged.handle AND product.id <> staged.product_id""")

# A SKU may move between two products of one page, but is never taken from a third.
_REFUSE_SKUS: Final = text("""
    UPDATE staged_product staged
    SET action = 'refused', note = 'sku: ' || taken.sku || ' belongs to another product'
    FROM (SELECT asking.no, asking.sku
          FROM staged_variant asking
          JOIN staged_product mine ON mine.no = asking.no AND mine.action IN ('create', 'update')
          JOIN variant ON variant.sku = asking.sku AND variant.product_id <> mine.product_id
          WHERE NOT EXISTS (SELECT FROM staged_product giving
                            WHERE giving.product_id = variant.product_id
                              AND giving.action = 'update' AND giving.has_variants)) AS taken
    WHERE staged.no = taken.no""")

_COLLIDING_HANDLES: Final = text("""
    SELECT no, handle FROM (
        SELECT staged.no, staged.handle, product.id IS NOT NULL AS taken,
               row_number() OVER (PARTITION BY staged.handle
                                  ORDER BY staged.own_handle DESC, staged.no) AS turn
        FROM staged_product staged LEFT JOIN product ON product.handle = staged.handle
        WHERE staged.action = 'create') AS wanted
    WHERE taken OR turn > 1 ORDER BY no""")

_HANDLE_FAMILIES: Final = text("""
    SELECT product.handle FROM unnest(CAST(:handles AS text[])) AS base
    JOIN product ON product.handle >= base || '-' COLLATE "C"
                AND product.handle < base || '.' COLLATE "C"
    UNION
    SELECT handle FROM staged_product WHERE action = 'create'""")

# An id made from an identity that another product had before is made unlike it.
_FREE_IDS: Final = text("""
    UPDATE staged_product staged SET product_id = staged.product_id || '_' || staged.message_id
    FROM product WHERE staged.action = 'create' AND product.id = staged.product_id""")

_BRANDS: Final = text("""
    INSERT INTO brand (id, name, name_key, saga_id)
    SELECT DISTINCT ON (brand_key) 'brand_' || md5(brand_key), brand_name, brand_key, :saga
    FROM staged_product
    WHERE brand_key IS NOT NULL AND action IN ('create', 'update')
    ORDER BY brand_key, no
    ON CONFLICT (name_key) DO NOTHING""")

_CREATE: Final = text("""
    WITH created AS (
        INSERT INTO product (id, title, handle, description, status, brand_id, images, metadata,
                             feed_hash, message_id, saga_id)
        SELECT staged.product_id, staged.title, staged.handle, staged.description,
               coalesce(staged.status, 'published'), brand.id, coalesce(staged.images, '[]'),
               coalesce(staged.metadata, '{}'), staged.feed_hash, staged.message_id, :saga
        FROM staged_product staged LEFT JOIN brand ON brand.name_key = staged.brand_key
        WHERE staged.action = 'create'
        RETURNING id, version)
    INSERT INTO product_revision (saga_id, product_id, version, before)
    SELECT :saga, id, version, NULL FROM created""")

_UPDATE: Final = text("""
    WITH changing AS (
        SELECT product_id FROM staged_product WHERE action = 'update'),
    options AS (
        SELECT o.product_id, jsonb_agg(o) AS rows
        FROM product_option o JOIN changing USING (product_id) GROUP BY 1),
    variants AS (
        SELECT v.product_id, jsonb_agg(v) AS rows
        FROM variant v JOIN changing USING (product_id) GROUP BY 1),
    prices AS (
        SELECT v.product_id, jsonb_agg(p) AS rows
        FROM price p JOIN variant v ON v.id = p.variant_id JOIN changing USING (product_id)
        GROUP BY 1),
    named AS (
        SELECT product_id, product_id AS internal_id FROM changing
        UNION ALL SELECT v.product_id, v.id FROM variant v JOIN changing USING (product_id)),
    external_ids AS (
        SELECT named.product_id, jsonb_agg(e) AS rows
        FROM external_id e JOIN named USING (internal_id) GROUP BY 1),
    before AS (
        SELECT product.id, to_jsonb(product) || jsonb_build_object(
            'options', options.rows, 'variants', variants.rows, 'prices', prices.rows,
            'external_ids', external_ids.rows) AS image
        FROM changing JOIN product ON product.id = changing.product_id
        LEFT JOIN options USING (product_id) LEFT JOIN variants USING (product_id)
        LEFT JOIN prices USING (product_id) LEFT JOIN external_ids USING (product_id)),
    updated AS (
        UPDATE product SET
            title = staged.title,
            handle = CASE WHEN staged.own_handle THEN staged.handle ELSE product.handle END,
            description = CASE WHEN has_description THEN staged.description
                               ELSE product.description END,
            status = coalesce(staged.status, product.status),
            brand_id = CASE WHEN has_brand THEN brand.id ELSE product.brand_id END,
            images = coalesce(staged.images, product.images),
            metadata = coalesce(staged.metadata, product.metadata),
            feed_hash = staged.feed_hash, message_id = staged.message_id,
            version = product.version + 1, saga_id = :saga, updated_at = now()
        FROM staged_product staged LEFT JOIN brand ON brand.name_key = staged.brand_key
        WHERE staged.product_id = product.id AND staged.action = 'update'
        RETURNING product.id, product.version)
    INSERT INTO product_revision (saga_id, product_id, version, before)
    SELECT :saga, updated.id, updated.version, before.image
    FROM updated JOIN before USING (id)""")

_EXTERNAL_IDS: Final = text("""
    INSERT INTO external_id (system, entity, external_id, internal_id, saga_id)
    SELECT :system, 'product', staged.external_id, staged.product_id, :saga
    FROM staged_product staged
    WHERE staged.external_id IS NOT NULL AND action IN ('create', 'update')
    ON CONFLICT DO NOTHING""")

_DROP_OPTIONS: Final = text("""
    DELETE FROM product_option USING staged_product staged
    WHERE product_option.product_id = staged.product_id
      AND staged.action = 'update' AND staged.has_options""")

_OPTIONS: Final = text("""
    INSERT INTO product_option (product_id, title, position, values)
    SELECT staged.product_id, staged_option.title, staged_option.position, staged_option.values
    FROM staged_option JOIN staged_product staged USING (no)
    WHERE staged.action IN ('create', 'update')""")

_VARIANT_ID: Final = "'variant_' || md5(staged.product_id || ' ' || staged_variant.key)"

_DROP_VARIANTS: Final = text(f"""
    WITH kept AS MATERIALIZED (
        SELECT {_VARIANT_ID} AS id FROM staged_variant JOIN staged_product staged USING (no))
    DELETE FROM variant USING staged_product staged
    WHERE variant.product_id = staged.product_id
      AND staged.action = 'update' AND staged.has_variants
      AND NOT EXISTS (SELECT FROM kept WHERE kept.id = variant.id)""")

_VARIANTS: Final = text(f"""
    INSERT INTO variant (id, product_id, position, title, sku, options, manage_inventory)
    SELECT {_VARIANT_ID}, staged.product_id, staged_variant.position, staged_variant.title,
           staged_variant.sku, staged_variant.options, staged_variant.manage_inventory
    FROM staged_variant JOIN staged_product staged USING (no)
    WHERE staged.action IN ('create', 'update')
    ON CONFLICT (id) DO UPDATE SET position = excluded.position, title = excluded.title,
        sku = excluded.sku, options = excluded.options,
        manage_inventory = excluded.manage_inventory""")

_VARIANT_EXTERNAL_IDS: Final = text(f"""
    INSERT INTO external_id (system, entity, external_id, internal_id, saga_id)
    SELECT :system, 'variant', staged_variant.external_id, {_VARIANT_ID}, :saga
    FROM staged_variant JOIN staged_product staged USING (no)
    WHERE staged_variant.external_id IS NOT NULL AND staged.action IN ('create', 'update')
    ON CONFLICT (system, entity, external_id) DO UPDATE
        SET internal_id = excluded.internal_id, saga_id = excluded.saga_id
        WHERE external_id.internal_id <> excluded.internal_id""")

_DROP_PRICES: Final = text(f"""
    DELETE FROM price USING staged_variant JOIN staged_product staged USING (no)
    WHERE staged.action = 'update' AND staged_variant.has_prices
      AND price.variant_id = {_VARIANT_ID}""")

_PRICES: Final = text(f"""
    INSERT INTO price (variant_id, currency_code, min_quantity, amount)
    SELECT {_VARIANT_ID}, staged_variant.currency_code, staged_variant.min_quantity,
           staged_variant.amount
    FROM staged_price AS staged_variant JOIN staged_product staged USING (no)
    WHERE staged.action IN ('create', 'update')""")

_CHANGES: Final = (
    _FREE_IDS,
    _BRANDS,
    _CREATE,
    _UPDATE,
    _EXTERNAL_IDS,
    _DROP_OPTIONS,
    _OPTIONS,
    _DROP_VARIANTS,
    _VARIANTS,
    _VARIANT_EXTERNAL_IDS,
    _DROP_PRICES,
    _PRICES,
    text("SET CONSTRAINTS variant_sku IMMEDIATE"),
    text("SET CONSTRAINTS variant_sku DEFERRED"),
)
