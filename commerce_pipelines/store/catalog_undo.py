"""Undoing an import: delete what the saga created, restore what it changed.

A product is only touched where its version is still the one that the saga
wrote; a later change by anybody else stays, and is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class UndoneProducts:
    """How many products an undo deleted, restored, and left to a later writer."""

    deleted: int
    restored: int
    superseded: int


def undo_products(
    connection: Connection, saga_id: str, product_ids: Sequence[str] | None = None
) -> UndoneProducts:
    """Takes back a saga's changes to products, all of them or some.

    Args:
        connection: An open transaction.
        saga_id: The saga.
        product_ids: Only these; None for all.
    """
    names = {"saga": saga_id, "ids": None if product_ids is None else list(product_ids)}
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('catalog_import'))"))
    superseded = connection.execute(_LEAVE_LATER_CHANGES, names).rowcount
    deleted = connection.execute(_DELETE_CREATED, names).rowcount
    restored = connection.execute(_RESTORE, names).rowcount
    if restored:
        for statement in _RESTORE_CHILDREN:
            connection.execute(statement, names)
    connection.execute(_DROP_EXTERNAL_IDS, names)
    connection.execute(_FINISH, names)
    connection.execute(_DROP_BRANDS, names)
    return UndoneProducts(deleted=deleted, restored=restored, superseded=superseded)


_OURS: Final = """revision.saga_id = :saga AND revision.undone_at IS NULL
      AND (CAST(:ids AS text[]) IS NULL OR revision.product_id = ANY (:ids))"""

# What somebody changed after the saga is left alone, and out of the statements below.
_LEAVE_LATER_CHANGES: Final = text(f"""
    UPDATE product_revision revision SET undone_at = now()
    WHERE {_OURS} AND NOT EXISTS (
        SELECT FROM product
        WHERE product.id = revision.product_id AND product.version = revision.version)""")

_DELETE_CREATED: Final = text(f"""
    DELETE FROM product USING product_revision revision
    WHERE {_OURS} AND product.id = revision.product_id AND revision.before IS NULL""")

_RESTORE: Final = text(f"""
    UPDATE product SET title = old.title, handle = old.handle, description = old.description,
        status = old.status, brand_id = old.brand_id, images = old.images,
        metadata = old.metadata, feed_hash = old.feed_hash, message_id = old.message_id,
        saga_id = old.saga_id, version = product.version + 1, updated_at = now()
    FROM product_revision revision,
         jsonb_populate_record(NULL::product, revision.before) AS old
    WHERE {_OURS} AND product.id = revision.product_id AND revision.before IS NOT NULL""")

_DROP_OPTIONS: Final = text(f"""
    DELETE FROM product_option USING product_revision revision
    WHERE {_OURS} AND revision.before IS NOT NULL
      AND product_option.product_id = revision.product_id""")

_OPTIONS: Final = text(f"""
    INSERT INTO product_option
    SELECT old.* FROM product_revision revision,
         jsonb_populate_recordset(NULL::product_option, revision.before->'options') AS old
    WHERE {_OURS} AND jsonb_typeof(revision.before->'options') = 'array'""")

_DROP_VARIANTS: Final = text(f"""
    DELETE FROM variant USING product_revision revision
    WHERE {_OURS} AND revision.before IS NOT NULL AND variant.product_id = revision.product_id
      AND NOT coalesce(revision.before->'variants' @> jsonb_build_array(
              jsonb_build_object('id', variant.id)), false)""")

_VARIANTS: Final = text(f"""
    INSERT INTO variant
    SELECT old.* FROM product_revision revision,
         jsonb_populate_recordset(NULL::variant, revision.before->'variants') AS old
    WHERE {_OURS} AND jsonb_typeof(revision.before->'variants') = 'array'
    ON CONFLICT (id) DO UPDATE SET position = excluded.position, title = excluded.title,
        sku = excluded.sku, options = excluded.options,
        manage_inventory = excluded.manage_inventory""")

_DROP_PRICES: Final = text(f"""
    DELETE FROM price USING variant, product_revision revision
    WHERE {_OURS} AND revision.before IS NOT NULL
      AND variant.product_id = revision.product_id AND price.variant_id = variant.id""")

_PRICES: Final = text(f"""
    INSERT INTO price
    SELECT old.* FROM product_revision revision,
         jsonb_populate_recordset(NULL::price, revision.before->'prices') AS old
    WHERE {_OURS} AND jsonb_typeof(revision.before->'prices') = 'array'""")

_EXTERNAL_IDS: Final = text(f"""
    INSERT INTO external_id
    SELECT old.* FROM product_revision revision,
         jsonb_populate_recordset(NULL::external_id, revision.before->'external_ids') AS old
    WHERE {_OURS} AND jsonb_typeof(revision.before->'external_ids') = 'array'
    ON CONFLICT (system, entity, external_id) DO UPDATE
        SET internal_id = excluded.internal_id, saga_id = excluded.saga_id
        WHERE external_id.saga_id = :saga""")

_RESTORE_CHILDREN: Final = (
    _DROP_OPTIONS,
    _OPTIONS,
    _DROP_VARIANTS,
    _VARIANTS,
    _DROP_PRICES,
    _PRICES,
    _EXTERNAL_IDS,
)

# External ids that the saga added: of products that are gone, and of those just restored.
_DROP_EXTERNAL_IDS: Final = text(f"""
    DELETE FROM external_id WHERE saga_id = :saga AND (
        entity = 'product' AND internal_id IN (
            SELECT revision.product_id FROM product_revision revision WHERE {_OURS})
     OR entity = 'variant' AND NOT EXISTS (
            SELECT FROM variant WHERE variant.id = external_id.internal_id))""")

_FINISH: Final = text(f"""
    UPDATE product_revision revision SET undone_at = now() WHERE {_OURS}""")

_DROP_BRANDS: Final = text("""
    DELETE FROM brand WHERE saga_id = :saga AND version = 1
      AND NOT EXISTS (SELECT FROM product WHERE product.brand_id = brand.id)""")
