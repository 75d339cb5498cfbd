"""Changing one product as its people wish, with its before-image, and its ids in the ERP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.domain.ownership import ERP
from commerce_pipelines.domain.product_changes import ProductChanges, VariantChanges
from commerce_pipelines.errors import Busy, Conflict, InvalidInput, NotFound
from commerce_pipelines.store.announcements import announce_documents
from commerce_pipelines.store.catalog_import import hold_products, take_products
from commerce_pipelines.store.sql_script import inlined, quoted


def erp_product_id(connection: Connection, product_id: str) -> str:
    """Returns the ERP's id of a product.

    Raises:
        NotFound: There is no such product.
        Conflict: It has none.
    """
    row = connection.execute(_ERP_ID, {"id": product_id}).one_or_none()
    if row is None:
        raise NotFound(f"There is no product {product_id}.")
    if row.external_id is None:
        raise Conflict(
            f"Product {product_id} has no id in the ERP. Give one of its variants the SKU that "
            "it has there, and run erp_product_sync with `whole: true`."
        )
    return str(row.external_id)


def check_changes(connection: Connection, product_id: str, changes: ProductChanges) -> None:
    """Checks that the variants are the product's, and their SKUs nobody else's.

    Raises:
        InvalidInput: A variant is not the product's.
        Conflict: A SKU belongs to another product.
    """
    given = changes.variants or ()
    known = set(connection.execute(_VARIANT_IDS, {"id": product_id}).scalars())
    for at, variant in enumerate(given):
        if variant.id is not None and variant.id not in known:
            raise InvalidInput(f"variants[{at}].id: {variant.id} is no variant of this product")
    skus = [variant.sku for variant in given if variant.sku]
    taken = connection.execute(_TAKEN_SKU, {"id": product_id, "skus": skus}).scalar()
    if taken is not None:
        raise Conflict(f"The SKU {taken} belongs to another product.")


def update_product(
    connection: Connection, saga_id: str, product_id: str, changes: ProductChanges
) -> list[str]:
    """Changes a product for a saga; `undo_products` takes it back.

    Returns:
        The ids of its variants as they were given, those of new ones too.

    Raises:
        NotFound: There is no such product.
        InvalidInput: A variant is not the product's.
        Conflict: A SKU belongs to another product.
        Busy: Another saga is changing it.
    """
    parked = connection.execute(_PARKED, {"id": product_id}).scalar()
    if parked is not None:
        raise Conflict(f"Product {product_id} is held by the parked saga {parked}.")
    take_products(connection, saga_id, [product_id])
    erp_product_id(connection, product_id)
    check_changes(connection, product_id, changes)
    hold_products(connection, saga_id, [product_id])
    names: dict[str, Any] = {"id": product_id, "saga": saga_id}
    if changes.title is not None:
        connection.execute(_TITLE, names | {"title": changes.title})
    if "description" in changes.model_fields_set:
        connection.execute(_DESCRIPTION, names | {"description": changes.description})
    if changes.options is not None:
        connection.execute(_DROP_OPTIONS, names)
        options = [
            {**names, "title": option.title, "position": at, "values": option.values}
            for at, option in enumerate(changes.options)
        ]
        if options:
            connection.execute(_OPTION, options)
    return _replace_variants(connection, names, changes.variants)


def _replace_variants(
    connection: Connection, names: dict[str, Any], variants: Sequence[VariantChanges] | None
) -> list[str]:
    if variants is None:
        return []
    ids = [each.id or _new_id(names["saga"], at) for at, each in enumerate(variants)]
    connection.execute(_DROP_VARIANTS, names | {"kept": ids})
    rows = [
        {
            **names,
            "variant": id_,
            "position": at,
            "title": each.title or (None if each.id else each.shown_title),
            "has_sku": "sku" in each.model_fields_set,
            "sku": each.sku,
            "options": each.options,
        }
        for at, (id_, each) in enumerate(zip(ids, variants, strict=True))
    ]
    if rows:
        connection.execute(_VARIANT, rows)
    connection.execute(text("SET CONSTRAINTS variant_sku IMMEDIATE"))
    connection.execute(text("SET CONSTRAINTS variant_sku DEFERRED"))
    return ids


def announce_document(connection: Connection, product_id: str) -> None:
    """Has the document of a product looked at."""
    connection.execute(_ANNOUNCE, {"id": product_id})


def announce_script(product_id: str) -> str:
    """Returns SQL that has the document of a product looked at."""
    return inlined(_ANNOUNCE, {"id": quoted(product_id)}) + ";\n"


def parked_holder(connection: Connection, kind: str, product_id: str) -> str | None:
    """Returns the saga of a kind that is parked with a product; None if none is."""
    return connection.execute(_PARKED_HOLDER, {"kind": kind, "id": product_id}).scalar()


def result_since(connection: Connection, kind: str, saga_id: str, step: str) -> Any:
    """Returns the result of a step in the newest saga that has changed a product since another.

    Args:
        connection: The store.
        kind: Of these sagas.
        saga_id: The other one, which has changed one product; its undo counts for nothing.
        step: Name of the step.

    Returns:
        The result; None where no saga has changed the product since.

    Raises:
        Busy: A saga is changing it just now.
    """
    names = {"kind": kind, "saga": saga_id, "step": step}
    row = connection.execute(_RESULT_SINCE, names).one_or_none()
    if row is not None and row.status != "succeeded":
        raise Busy(f"Saga {row.saga_id} is changing the product.")
    return None if row is None else row.result


def erp_links(connection: Connection, product_id: str) -> dict[str, str]:
    """Returns the ERP's ids of a product's variants, by ours."""
    return {row.id: row.external_id for row in connection.execute(_LINKS, {"id": product_id})}


def link_variants(
    connection: Connection,
    saga_id: str,
    product_id: str,
    links: Mapping[str, str],
    hash_: bytes | None,
) -> None:
    """Notes the ERP's ids of variants, and what the ERP says of the product now.

    Args:
        connection: An open transaction.
        saga_id: The saga that has changed the product; its undo takes this back too.
        product_id: The product.
        links: The ERP's ids by ours.
        hash_: What tells that the ERP's next word is the same.
    """
    rows = [{"saga": saga_id, "variant": ours, "id": theirs} for ours, theirs in links.items()]
    if rows:
        connection.execute(_LINK, rows)
    connection.execute(
        text("UPDATE product SET erp_hash = :hash WHERE id = :id AND saga_id = :saga"),
        {"hash": hash_, "id": product_id, "saga": saga_id},
    )


def _new_id(saga_id: str, at: int) -> str:
    return "variant_" + blake2b(f"{saga_id} {at}".encode(), digest_size=16).hexdigest()


_ERP_ID: Final = text(f"""
    SELECT product.id, min(link.external_id) AS external_id
    FROM product LEFT JOIN external_id link ON link.internal_id = product.id
         AND link.entity = 'product' AND link.system = '{ERP}'
    WHERE product.id = :id GROUP BY product.id""")

_PARKED: Final = text("""
    SELECT saga.saga_id FROM product JOIN saga USING (saga_id)
    WHERE product.id = :id AND saga.status = 'parked'""")

_PARKED_HOLDER: Final = text("""
    SELECT saga_id FROM saga
    WHERE kind = :kind AND lock_key = :id AND status = 'parked'""")

_RESULT_SINCE: Final = text("""
    SELECT saga.saga_id, saga.status, saga_step.result
    FROM product_revision mine
    JOIN product_revision later ON later.product_id = mine.product_id
         AND later.version > mine.version
    JOIN saga ON saga.saga_id = later.saga_id AND saga.kind = :kind
         AND saga.status <> 'compensated'
    LEFT JOIN saga_step ON saga_step.saga_id = saga.saga_id
         AND saga_step.name = :step AND saga_step.state = 'done'
    WHERE mine.saga_id = :saga ORDER BY later.version DESC LIMIT 1""")

_ANNOUNCE: Final = text(announce_documents("SELECT id FROM product WHERE id = :id"))

_VARIANT_IDS: Final = text("SELECT id FROM variant WHERE product_id = :id")

_TAKEN_SKU: Final = text("""
    SELECT sku FROM variant
    WHERE sku = ANY (CAST(:skus AS text[])) AND product_id <> :id LIMIT 1""")

_TITLE: Final = text("UPDATE product SET title = :title, updated_at = now() WHERE id = :id")

_DESCRIPTION: Final = text("""
    UPDATE product SET description = :description, updated_at = now() WHERE id = :id""")

_DROP_OPTIONS: Final = text("DELETE FROM product_option WHERE product_id = :id")

_OPTION: Final = text("""
    INSERT INTO product_option (product_id, title, position, values)
    VALUES (:id, :title, :position, :values)""")

_DROP_VARIANTS: Final = text("""
    WITH dropped AS (
        DELETE FROM variant WHERE product_id = :id AND id <> ALL (CAST(:kept AS text[]))
        RETURNING id)
    DELETE FROM external_id USING dropped
    WHERE external_id.internal_id = dropped.id AND external_id.entity = 'variant'""")

# What a variant that is there is not told stays as it is.
_VARIANT: Final = text("""
    INSERT INTO variant AS known (id, product_id, position, title, sku, options)
    VALUES (:variant, :id, :position, coalesce(:title, ''), :sku, coalesce(:options, '{}'))
    ON CONFLICT (id) DO UPDATE SET position = excluded.position,
        title = coalesce(:title, known.title),
        sku = CASE WHEN :has_sku THEN excluded.sku ELSE known.sku END,
        options = coalesce(:options, known.options)""").bindparams(
    bindparam("options", type_=JSONB(none_as_null=True))
)

_LINKS: Final = text(f"""
    SELECT variant.id, min(link.external_id) AS external_id
    FROM variant JOIN external_id link ON link.internal_id = variant.id
    WHERE variant.product_id = :id AND link.entity = 'variant' AND link.system = '{ERP}'
    GROUP BY variant.id""")

_LINK: Final = text(f"""
    INSERT INTO external_id (system, entity, external_id, internal_id, saga_id)
    VALUES ('{ERP}', 'variant', :id, :variant, :saga)
    ON CONFLICT (system, entity, external_id) DO UPDATE
        SET internal_id = excluded.internal_id, saga_id = excluded.saga_id
        WHERE external_id.internal_id <> excluded.internal_id""")
