"""Upserting a page of products: a few statements, however many products.

Belongs here: which stored product each one is, and what is to be done with it.
Does not belong here: doing it (`catalog_changes.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text

from commerce_pipelines.domain.feed import FeedRow, Rejected, refuse
from commerce_pipelines.domain.ownership import ERP
from commerce_pipelines.errors import Busy
from commerce_pipelines.store.catalog_changes import CHANGES, HOLD
from commerce_pipelines.store.catalog_sharing import (
    KEEPS_SKU,
    adopt_products,
    leave_to_others,
    new_variant_id,
    shares_products,
)
from commerce_pipelines.store.staging import stage


class ImportedRow(NamedTuple):
    """What became of one product of the page.

    Attributes:
        action: create, update, unchanged, stale (an older word than the stored one) or
            ignored (gone from sale before the store had it).
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
    names: dict[str, Any] = {"saga": saga_id, "system": system}
    connection.execute(_BEGIN)
    stage(connection, rows, system)
    names["shares"] = shares = shares_products(connection, system)
    names["withdraws"] = False
    if shares:
        adopt_products(connection, system)
    for statement in (_DECIDE, _ANALYZE, _FREE_IDS, _FIND_BRANDS, _REFUSE_HANDLES):
        connection.execute(statement, names)
    if shares:
        names["withdraws"] = leave_to_others(connection, system) and system == ERP
    # Who is refused keeps what it would have given away, so others may have to follow.
    while any(connection.execute(each, names).rowcount for each in (_REFUSE_SKUS, _REFUSE_IDS)):
        pass
    _refuse_while_busy(connection)
    _give_free_handles(connection)
    for statement in CHANGES:
        connection.execute(statement, names)
    return _read_result(connection, rows)


def take_products(connection: Connection, saga_id: str, product_ids: Sequence[str]) -> None:
    """Keeps other writers away from products until the end of the transaction.

    Raises:
        Busy: Another saga is changing one of them, or is parked and may yet restore it.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('catalog_import'))"))
    names = {"saga": saga_id, "ids": list(product_ids)}
    holder = connection.execute(_HOLDER, names).scalar()
    if holder is not None:
        raise Busy(f"Saga {holder} is changing some of these products.")


def hold_products(connection: Connection, saga_id: str, product_ids: Sequence[str]) -> None:
    """Gives products, as they are, into the hands of a saga that writes their documents."""
    connection.execute(HOLD, {"saga": saga_id, "ids": list(product_ids)})


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
    results = connection.execute(
        text("SELECT no, product_id, action, note FROM staged_product ORDER BY no")
    )
    for no, product_id, action, note in results.all():
        if action == "refused":
            field, _, reason = note.partition(": ")
            rejected += refuse(rows[no], field, reason)
        else:
            imported.append(ImportedRow(rows[no], product_id, action))
    return imported, rejected


# Which stored product is it: by external id; else by handle, unless that one has another
# external id of this system. And what is to be done with it. The row lock keeps other
# writers out until the commit. Each name is looked up by itself (`OFFSET 0`), here and below: a
# planner that has no statistics yet would go through all there are.
_DECIDE: Final = text("""
    WITH matched AS MATERIALIZED (
        SELECT self.no, self.feed_hash, self.message_id,
               coalesce(by_id.internal_id, by_handle.id, self.adopted_id) AS product_id
        FROM staged_product self
        LEFT JOIN LATERAL (
            SELECT internal_id FROM external_id WHERE system = :system AND entity = 'product'
               AND external_id = self.external_id OFFSET 0) AS by_id ON true
        LEFT JOIN LATERAL (
            SELECT id FROM product
            WHERE by_id.internal_id IS NULL AND handle = self.handle OFFSET 0) AS by_handle
            ON self.external_id IS NULL
               OR self.own_handle AND NOT EXISTS (
                   SELECT FROM external_id other WHERE other.system = :system
                      AND other.entity = 'product' AND other.internal_id = by_handle.id)),
    known AS (
        SELECT product.id, product.message_id, product.saga_id,
               CASE WHEN :system = 'erp' THEN product.erp_hash ELSE product.feed_hash END AS hash
        FROM product WHERE product.id IN (SELECT product_id FROM matched)
        ORDER BY product.id FOR UPDATE)
    UPDATE staged_product staged
    SET product_id = coalesce(self.product_id, staged.new_id), is_shared = known.message_id > 0,
        action = CASE
            WHEN known.id IS NULL THEN 'create'
            WHEN holder.status = 'parked' THEN 'refused'
            WHEN holder.status IS NOT NULL THEN 'busy'
            WHEN known.message_id > self.message_id AND self.message_id > 0 THEN 'stale'
            WHEN known.hash = self.feed_hash THEN 'unchanged'
            WHEN self.turn > 1 THEN 'refused'
            ELSE 'update' END,
        note = CASE
            WHEN holder.status = 'parked' THEN ': is held by the parked saga ' || holder.saga_id
            WHEN holder.status IS NOT NULL THEN holder.saga_id
            WHEN self.turn > 1 THEN ': is the same product as another one of this list' END
    FROM (SELECT *, row_number() OVER (PARTITION BY product_id ORDER BY no DESC) AS turn
          FROM matched) AS self
    LEFT JOIN known ON known.id = self.product_id
    LEFT JOIN saga holder ON holder.saga_id = known.saga_id
         AND holder.status IN ('running', 'aborting', 'parked') AND holder.saga_id <> :saga
    WHERE staged.no = self.no""")

_HOLDER: Final = text("""
    WITH wanted AS MATERIALIZED (
        SELECT saga_id FROM product WHERE id = ANY (:ids) ORDER BY id FOR UPDATE)
    SELECT saga_id FROM saga JOIN wanted USING (saga_id)
    WHERE status IN ('running', 'aborting', 'parked') AND saga_id <> :saga LIMIT 1""")

# Without it the planner takes a page of thousands for one row, and loops.
# By default the planner reckons with a disk that turns, and goes through whole tables for what
# a page needs of them; then a page takes longer the more there is in the store.
_BEGIN: Final = text("""
    SELECT pg_advisory_xact_lock(hashtext('catalog_import')),
           set_config('random_page_cost', '1.1', true)""")

_ANALYZE: Final = text("ANALYZE staged_product (no, product_id, action, brand_external_id)")

# A linked brand counts whatever name is given. A product that was taken before its brand was
# linked gets the linked one, though the feed says nothing new.
_FIND_BRANDS: Final = text("""
    UPDATE staged_product staged
    SET brand_id = link.brand_id,
        brand_key = CASE WHEN link.brand_id IS NULL THEN staged.brand_key END,
        action = CASE
            WHEN link.brand_id IS NOT NULL AND link.brand_id IS DISTINCT FROM product.brand_id
                 AND staged.action = 'unchanged' AND staged.note IS NULL THEN 'update'
            WHEN coalesce(link.brand_id, staged.brand_key) IS NULL
                 AND staged.action IN ('create', 'update') THEN 'refused'
            ELSE staged.action END,
        note = CASE
            WHEN coalesce(link.brand_id, staged.brand_key) IS NULL
                 AND staged.action IN ('create', 'update')
            THEN 'brand.external_id: ' || self.brand_external_id
                 || ' is not known, and no name is given' ELSE staged.note END
    FROM staged_product self
    LEFT JOIN foreign_brand link ON link.external_id = self.brand_external_id
    LEFT JOIN product ON product.id = self.product_id
    WHERE self.no = staged.no AND self.brand_external_id IS NOT NULL""")

# A handle that the feed chose itself is never changed behind its back.
_REFUSE_HANDLES: Final = text("""
    UPDATE staged_product staged
    SET action = 'refused', note = 'handle: ' || staged.handle || ' belongs to another product'
    FROM product WHERE staged.action IN ('create', 'update') AND staged.own_handle
     AND product.handle = staged.handle AND product.id <> staged.product_id""")

# Nobody else has it: a third product would keep it, one of this page may give it away.
_NOT_GIVEN_AWAY: Final = f"""(
        variant.product_id <> mine.product_id
        OR :shares AND variant.id <> {new_variant_id("asking", "mine")}) AND NOT EXISTS (
        SELECT FROM staged_product giving WHERE giving.product_id = variant.product_id
           AND giving.action = 'update' AND giving.has_variants
           AND NOT (:shares AND {KEEPS_SKU}))"""

_REFUSE_SKUS: Final = text(f"""
    UPDATE staged_product staged
    SET action = 'refused', note = 'sku: ' || taken.sku || ' belongs to another product'
    FROM (SELECT asking.no, asking.sku
          FROM staged_variant asking
          JOIN staged_product mine ON mine.no = asking.no AND mine.action IN ('create', 'update')
          JOIN variant ON variant.sku = asking.sku
          WHERE {_NOT_GIVEN_AWAY}) AS taken
    WHERE staged.no = taken.no""")

_REFUSE_IDS: Final = text(f"""
    UPDATE staged_product staged
    SET action = 'refused',
        note = 'variants: external id ' || taken.external_id || ' belongs to another product'
    FROM (SELECT asking.no, asking.external_id
          FROM staged_variant asking
          JOIN staged_product mine ON mine.no = asking.no AND mine.action IN ('create', 'update')
          CROSS JOIN LATERAL (
              SELECT internal_id FROM external_id WHERE system = :system AND entity = 'variant'
                 AND external_id = asking.external_id OFFSET 0) AS known
          JOIN variant ON variant.id = known.internal_id
          WHERE {_NOT_GIVEN_AWAY}) AS taken
    WHERE staged.no = taken.no""")

# A new product without external id is new because its handle is free in the store.
_COLLIDING_HANDLES: Final = text("""
    SELECT no, handle FROM (
        SELECT staged.no, staged.action, staged.handle, product.id IS NOT NULL AS taken,
               row_number() OVER (PARTITION BY staged.handle
                                  ORDER BY staged.own_handle DESC, staged.no) AS turn
        FROM staged_product staged LEFT JOIN product
             ON product.handle = staged.handle AND staged.external_id IS NOT NULL
        WHERE staged.action = 'create' OR staged.action = 'update' AND staged.own_handle) AS wanted
    WHERE action = 'create' AND (taken OR turn > 1) ORDER BY no""")

_HANDLE_FAMILIES: Final = text("""
    SELECT product.handle FROM unnest(CAST(:handles AS text[])) AS base
    JOIN product ON product.handle >= base || '-' COLLATE "C"
                AND product.handle < base || '.' COLLATE "C"
    UNION
    SELECT handle FROM staged_product
    WHERE action = 'create' OR action = 'update' AND own_handle""")

# An id made from an identity that another product had before is made unlike it.
_FREE_IDS: Final = text("""
    UPDATE staged_product staged SET product_id = staged.product_id || '_' || staged.message_id
    FROM product WHERE staged.action = 'create' AND product.id = staged.product_id""")
