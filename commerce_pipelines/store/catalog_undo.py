"""Undoing an import: delete what the saga created, restore what it changed.

A product is only touched where its version is still the one that the saga
wrote; a later change by anybody else stays, and is counted. A handle or SKU
that another product has taken meanwhile stays there, and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.store.sql_script import inlined, quoted


@dataclass(frozen=True)
class SupersededName:
    """A handle or SKU that a restored product does not get back, for another one has it now.

    Attributes:
        field: `handle` or `sku`.
        held_by: The product that has it; with SKUs also the same one, under another variant.
    """

    product_id: str
    field: str
    name: str
    held_by: str


@dataclass(frozen=True)
class UndoneProducts:
    """How many products an undo deleted, restored, and left to a later writer.

    Attributes:
        superseded_names: What restored products did not get back.
    """

    deleted: int
    restored: int
    superseded: int
    superseded_names: list[SupersededName] = field(default_factory=list)


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
    handles = connection.execute(_TAKEN_HANDLES, names).all()
    skus = connection.execute(_TAKEN_SKUS, names).all()
    kept = {
        "handles": [row.id for row in handles],
        "skus": [row.id for row in skus],
        "incomplete": [row.product_id for row in (*handles, *skus)],
    }
    restored = connection.execute(_RESTORE, {**names, **kept}).rowcount
    if restored:
        for statement in _RESTORE_CHILDREN:
            connection.execute(statement, {**names, **kept})
    connection.execute(_DROP_EXTERNAL_IDS, names)
    connection.execute(_FINISH, names)
    connection.execute(_DROP_BRANDS, names)
    taken = [SupersededName(*row[1:]) for row in (*handles, *skus)]
    return UndoneProducts(deleted, restored, superseded, taken)


def leave_products(connection: Connection, saga_id: str) -> None:
    """Keeps what a saga wrote, instead of undoing it.

    The next word of the feed about these products is taken as news, whatever it says: their
    documents do not show yet what they hold.
    """
    for statement in _LEAVE:
        connection.execute(statement, {"saga": saga_id, "ids": None})


def undo_script(saga_id: str) -> str:
    """Returns SQL that takes back a saga's changes to products as `undo_products` does."""
    names = {
        "saga": quoted(saga_id),
        "ids": "NULL",
        "handles": "kept_handles",
        "skus": "kept_skus",
        "incomplete": "kept_handles || incomplete",
    }
    return _SCRIPT.format(
        **{name: inlined(part, names) for name, part in _SCRIPT_PARTS.items()},
        children=";\n".join(inlined(part, names) for part in _RESTORE_CHILDREN),
    )


def leave_script(saga_id: str, product_id: str) -> str:
    """Returns SQL after which the undo of a saga leaves a product as it is."""
    names = {"saga": quoted(saga_id), "ids": f"ARRAY[{quoted(product_id)}]"}
    return "".join(f"{inlined(statement, names)};\n" for statement in _LEAVE)


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

# Products whose old handle is another one's now.
_TAKEN_HANDLES: Final = text(f"""
    SELECT revision.product_id AS id, revision.product_id, 'handle' AS field, holder.handle,
           holder.id AS held_by
    FROM product_revision revision
    JOIN product holder ON holder.handle = revision.before->>'handle'
         AND holder.id <> revision.product_id
    WHERE {_OURS} ORDER BY 1""")

# Variants whose old SKU belongs to a product that is not restored here. Who keeps the SKU it
# has now instead may keep it from another variant, and so on.
_TAKEN_SKUS: Final = text(f"""
    WITH RECURSIVE restored AS MATERIALIZED (
        SELECT revision.product_id, revision.before->'variants' AS variants
        FROM product_revision revision WHERE {_OURS} AND revision.before IS NOT NULL),
    was AS MATERIALIZED (
        SELECT restored.product_id, old.id, old.sku
        FROM restored, jsonb_populate_recordset(NULL::variant, restored.variants) AS old
        WHERE jsonb_typeof(restored.variants) = 'array'),
    back AS MATERIALIZED (
        SELECT was.*, variant.sku AS sku_now FROM was LEFT JOIN variant ON variant.id = was.id),
    taken AS (
        SELECT back.id, back.product_id, back.sku, back.sku_now, holder.product_id AS held_by
        FROM back JOIN variant holder ON holder.sku = back.sku AND holder.id <> back.id
        WHERE holder.product_id NOT IN (SELECT product_id FROM restored)
        UNION
        SELECT back.id, back.product_id, back.sku, back.sku_now, taken.product_id
        FROM taken JOIN back ON back.sku = taken.sku_now AND back.id <> taken.id)
    SELECT id, product_id, 'sku' AS field, sku, held_by FROM taken ORDER BY id""")

# Without its old handle or SKU a product is not what that word of the feed said.
_RESTORE: Final = text(f"""
    UPDATE product SET title = old.title,
        handle = CASE WHEN old.id = ANY (:handles) THEN product.handle ELSE old.handle END,
        description = old.description, status = old.status, brand_id = old.brand_id,
        images = old.images, metadata = old.metadata,
        feed_hash = CASE WHEN old.id = ANY (:incomplete) THEN NULL ELSE old.feed_hash END,
        erp_hash = CASE WHEN old.id = ANY (:incomplete) THEN NULL ELSE old.erp_hash END,
        message_id = old.message_id, saga_id = old.saga_id,
        version = product.version + 1, updated_at = now()
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
    INSERT INTO variant (id, product_id, position, title, sku, options, manage_inventory)
    SELECT old.id, old.product_id, old.position, old.title,
           CASE WHEN old.id = ANY (:skus)
                THEN (SELECT sku FROM variant WHERE variant.id = old.id) ELSE old.sku END,
           old.options, old.manage_inventory
    FROM product_revision revision,
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
     OR entity = 'variant' AND (
            NOT EXISTS (SELECT FROM variant WHERE variant.id = external_id.internal_id)
            OR internal_id IN (
                SELECT variant.id FROM variant JOIN product_revision revision USING (product_id)
                WHERE {_OURS})))""")

_FINISH: Final = text(f"""
    UPDATE product_revision revision SET undone_at = now() WHERE {_OURS}""")

_LEAVE: Final = (
    text(f"""
    UPDATE product SET feed_hash = NULL, erp_hash = NULL FROM product_revision revision
    WHERE {_OURS} AND product.id = revision.product_id AND product.version = revision.version"""),
    _FINISH,
)

# A brand that a product has, or may go back to, stays.
_DROP_BRANDS: Final = text("""
    DELETE FROM brand WHERE saga_id = :saga AND version = 1
      AND NOT EXISTS (SELECT FROM product WHERE product.brand_id = brand.id)
      AND NOT EXISTS (
        SELECT FROM saga JOIN product_revision revision USING (saga_id)
        WHERE saga.status IN ('running', 'aborting', 'parked') AND revision.undone_at IS NULL
          AND revision.before->>'brand_id' = brand.id)""")

_SCRIPT_PARTS: Final = {
    "leave_later_changes": _LEAVE_LATER_CHANGES,
    "delete_created": _DELETE_CREATED,
    "taken_handles": _TAKEN_HANDLES,
    "taken_skus": _TAKEN_SKUS,
    "restore": _RESTORE,
    "drop_external_ids": _DROP_EXTERNAL_IDS,
    "finish": _FINISH,
    "drop_brands": _DROP_BRANDS,
}

# One block is one transaction: all of it or nothing.
_SCRIPT: Final = """DO $$
DECLARE kept_handles text[]; kept_skus text[]; incomplete text[];
BEGIN
PERFORM pg_advisory_xact_lock(hashtext('catalog_import'));
{leave_later_changes};
{delete_created};
SELECT array_agg(taken.id) INTO kept_handles FROM (
{taken_handles}) AS taken;
SELECT array_agg(taken.id), array_agg(taken.product_id) INTO kept_skus, incomplete FROM (
{taken_skus}) AS taken;
{restore};
{children};
{drop_external_ids};
{finish};
{drop_brands};
END $$;
"""
