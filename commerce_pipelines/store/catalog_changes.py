"""Making the changes that were decided for a staged page of products.

Before-images go into `product_revision` in the statement that changes the
products; the undo (`catalog_undo.py`) is a join over them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from commerce_pipelines.store.announcements import announce_brands
from commerce_pipelines.store.brand_ids import new_brand_id
from commerce_pipelines.store.catalog_sharing import LEFT_TO_OTHERS, WITHDRAW, new_variant_id

_NEW_BRANDS: Final = """
    SELECT id, saga_id FROM created JOIN named ON brand_key = name_key WHERE NOT from_there"""

# One that is only named together with an id of the brand system comes from there: the sync will
# link it, so it is not brought back.
_BRANDS: Final = text(f"""
    WITH named AS (
        SELECT DISTINCT ON (brand_key) brand_key, brand_name,
               bool_and(brand_external_id IS NOT NULL) OVER (PARTITION BY brand_key) AS from_there
        FROM staged_product
        WHERE brand_key IS NOT NULL AND action IN ('create', 'update')
        ORDER BY brand_key, no),
    created AS (
        INSERT INTO brand (id, name, name_key, saga_id)
        SELECT {new_brand_id("brand_key")}, brand_name, brand_key, :saga FROM named
        WHERE NOT EXISTS (SELECT FROM brand WHERE brand.name_key = brand_key)
        ON CONFLICT (name_key) DO NOTHING RETURNING id, name_key, saga_id)
    {announce_brands(_NEW_BRANDS)}""")

_CREATE: Final = text("""
    WITH created AS (
        INSERT INTO product (id, title, handle, description, status, brand_id, images, metadata,
                             feed_hash, erp_hash, message_id, saga_id)
        SELECT staged.product_id, staged.title, staged.handle, staged.description,
               coalesce(staged.status, 'published'), coalesce(staged.brand_id, brand.id),
               coalesce(staged.images, '[]'),
               coalesce(staged.metadata, '{}'),
               CASE WHEN :system <> 'erp' THEN staged.feed_hash END,
               CASE WHEN :system = 'erp' THEN staged.feed_hash END, staged.message_id, :saga
        FROM staged_product staged LEFT JOIN brand ON brand.name_key = staged.brand_key
        WHERE staged.action = 'create'
        RETURNING id, version)
    INSERT INTO product_revision (saga_id, product_id, version, before)
    SELECT :saga, id, version, NULL FROM created""")

# What the changing products are, with all that belongs to them.
_BEFORE: Final = """
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
        LEFT JOIN prices USING (product_id) LEFT JOIN external_ids USING (product_id))"""

_UPDATE: Final = text(f"""
    WITH changing AS (
        SELECT product_id FROM staged_product WHERE action = 'update'),
    {_BEFORE},
    updated AS (
        UPDATE product SET
            title = staged.title,
            handle = CASE WHEN staged.own_handle THEN staged.handle ELSE product.handle END,
            description = CASE WHEN has_description THEN staged.description
                               ELSE product.description END,
            status = coalesce(staged.status, product.status),
            brand_id = CASE WHEN has_brand THEN coalesce(staged.brand_id, brand.id)
                            ELSE product.brand_id END,
            images = coalesce(staged.images, product.images),
            metadata = coalesce(staged.metadata, product.metadata),
            feed_hash = CASE WHEN :system = 'erp' THEN product.feed_hash
                             ELSE staged.feed_hash END,
            erp_hash = CASE WHEN :system = 'erp' THEN staged.feed_hash
                            ELSE product.erp_hash END,
            message_id = greatest(product.message_id, staged.message_id),
            version = product.version + 1, saga_id = :saga, updated_at = now()
        FROM staged_product staged LEFT JOIN brand ON brand.name_key = staged.brand_key
        WHERE staged.product_id = product.id AND staged.action = 'update'
        RETURNING product.id, product.version)
    INSERT INTO product_revision (saga_id, product_id, version, before)
    SELECT :saga, updated.id, updated.version, before.image
    FROM updated JOIN before USING (id)""")

# Changes nothing but whose they are: no other saga writes them, nor their documents, meanwhile.
HOLD: Final = text(f"""
    WITH changing AS (SELECT unnest(CAST(:ids AS text[])) AS product_id),
    {_BEFORE},
    held AS (
        UPDATE product SET version = version + 1, saga_id = :saga
        WHERE id IN (SELECT product_id FROM changing)
        RETURNING id, version)
    INSERT INTO product_revision (saga_id, product_id, version, before)
    SELECT :saga, held.id, held.version, before.image
    FROM held JOIN before USING (id)""")

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

_VARIANT_ID: Final = new_variant_id("staged_variant")

_DROP_VARIANTS: Final = text(f"""
    WITH kept AS MATERIALIZED (
        SELECT {_VARIANT_ID} AS id FROM staged_variant JOIN staged_product staged USING (no)),
    dropped AS (
        DELETE FROM variant USING staged_product staged
        WHERE variant.product_id = staged.product_id
          AND staged.action = 'update' AND staged.has_variants
          AND NOT (:shares AND {LEFT_TO_OTHERS})
          AND NOT EXISTS (SELECT FROM kept WHERE kept.id = variant.id)
        RETURNING variant.id)
    DELETE FROM external_id USING dropped
    WHERE external_id.internal_id = dropped.id AND external_id.entity = 'variant'""")

_UPDATE_VARIANTS: Final = text(f"""
    UPDATE variant SET position = staged_variant.position, title = staged_variant.title,
        sku = staged_variant.sku, options = staged_variant.options,
        manage_inventory = staged_variant.manage_inventory
    FROM staged_variant JOIN staged_product staged USING (no)
    WHERE staged.action = 'update' AND variant.id = {_VARIANT_ID}""")

_INSERT_VARIANTS: Final = text(f"""
    INSERT INTO variant (id, product_id, position, title, sku, options, manage_inventory)
    SELECT {_VARIANT_ID}, staged.product_id, staged_variant.position, staged_variant.title,
           staged_variant.sku, staged_variant.options, staged_variant.manage_inventory
    FROM staged_variant JOIN staged_product staged USING (no)
    WHERE staged.action = 'create'
       OR staged.action = 'update' AND NOT EXISTS (
              SELECT FROM variant WHERE variant.id = {_VARIANT_ID})""")

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

CHANGES: Final = (
    _BRANDS,
    _CREATE,
    _UPDATE,
    _EXTERNAL_IDS,
    _DROP_OPTIONS,
    _OPTIONS,
    _DROP_VARIANTS,
    *WITHDRAW,
    _UPDATE_VARIANTS,
    _INSERT_VARIANTS,
    _VARIANT_EXTERNAL_IDS,
    _DROP_PRICES,
    _PRICES,
    text("SET CONSTRAINTS variant_sku IMMEDIATE"),
    text("SET CONSTRAINTS variant_sku DEFERRED"),
)
