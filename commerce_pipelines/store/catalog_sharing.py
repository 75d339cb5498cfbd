"""Products that two systems bring: which are the same, and what each leaves to the other.

Belongs here: adopting what the other one has brought, and laying its fields over a
staged page, so that the statements of an import write them as they are. Does not
belong here: who owns what (`domain/ownership.py`). A store without a product of the
ERP runs none of this.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.ownership import ERP, PIM, PRODUCT_FIELDS, VARIANT_FIELDS
from commerce_pipelines.store.announcements import announce_documents


def new_variant_id(staged_variant: str, staged: str = "staged") -> str:
    """Returns SQL of a staged variant's id: of the stored one that it is, or a new one."""
    made = f"'variant_' || md5({staged}.product_id || ' ' || {staged_variant}.key)"
    return f"coalesce({staged_variant}.known_id, {made})"


def shares_products(connection: Connection, system: str) -> bool:
    """Tells whether a page of a system may hold products that another one has brought."""
    return system == ERP or bool(connection.execute(_ERP_IS_HERE).scalar_one())


def adopt_products(connection: Connection, system: str) -> None:
    """Finds the products of a staged page that the other system has brought, by SKU."""
    connection.execute(_ADOPT, {"system": system})


def leave_to_others(connection: Connection, system: str) -> bool:
    """Finds the variants that are in the store already, and lays the other's fields over them.

    Returns:
        Whether the page changes any product that is there.
    """
    names = {"system": system}
    any_known = bool(connection.execute(_ANY_KNOWN).scalar_one())
    known = (*_MATCH, _APART, _PRICES) if any_known else ()
    for statement in (*known, *_KEEP[system]):
        connection.execute(statement, names)
    return any_known


def announce_changed_documents(connection: Connection, saga_id: str) -> None:
    """Has those documents looked at which show what a saga of the ERP has changed."""
    connection.execute(_ANNOUNCE, {"saga": saga_id})


_ERP_IS_HERE: Final = text(f"""
    SELECT EXISTS (SELECT FROM external_id WHERE system = '{ERP}' AND entity = 'product')""")

_ANY_KNOWN: Final = text("SELECT EXISTS (SELECT FROM staged_product WHERE action = 'update')")

_KNOWN_TO_ERP: Final = f"""EXISTS (
        SELECT FROM external_id erp WHERE erp.internal_id = variant.id
           AND erp.entity = 'variant' AND erp.system = '{ERP}')"""

# A variant that a list leaves out stays where the other system has it.
LEFT_TO_OTHERS: Final = f"""CASE WHEN :system = '{ERP}' THEN coalesce(staged.is_shared, false)
        ELSE {_KNOWN_TO_ERP} END"""

# The SKU of a variant that the ERP knows is changed by the ERP's list only, another's by the PIM's.
KEEPS_SKU: Final = f"(:system = '{ERP}') <> {_KNOWN_TO_ERP}"

# One product has all its SKUs, and this system has not brought it under another id. The PIM
# takes over only what no PIM has described yet.
_ADOPT: Final = text(f"""
    WITH unknown AS MATERIALIZED (
        SELECT no FROM staged_product self WHERE NOT EXISTS (
            SELECT FROM external_id known WHERE known.system = :system
               AND known.entity = 'product' AND known.external_id = self.external_id OFFSET 0))
    UPDATE staged_product staged SET adopted_id = found.product_id
    FROM (SELECT asking.no, min(variant.product_id) AS product_id
          FROM unknown JOIN staged_variant asking ON asking.no = unknown.no
          CROSS JOIN LATERAL (
              SELECT product_id FROM variant WHERE sku = asking.sku OFFSET 0) AS variant
          GROUP BY asking.no HAVING count(DISTINCT variant.product_id) = 1) AS found
    JOIN product ON product.id = found.product_id
    WHERE staged.no = found.no
      AND (:system = '{ERP}' OR product.message_id = 0)
      AND NOT EXISTS (
          SELECT FROM external_id other WHERE other.system = :system
             AND other.entity = 'product' AND other.internal_id = found.product_id)""")


# Each stored variant is one of the page's at most. The PIM needs to know only those that the
# ERP knows: its others are found by the ids made from its own words. The planner, which does not
# know how much a page holds, is made to go from the page to the store's indexes.
def _match(condition: str) -> str:
    return f"""
    WITH mine AS MATERIALIZED (
        SELECT staged.no, staged.product_id, variant.id, variant.sku, variant.options
        FROM staged_product staged
        CROSS JOIN LATERAL (
            SELECT id, sku, options FROM variant WHERE product_id = staged.product_id
               AND (:system = '{ERP}' OR {_KNOWN_TO_ERP}) OFFSET 0) AS variant
        WHERE staged.action = 'update')
    UPDATE staged_variant self SET known_id = found.id
    FROM (SELECT DISTINCT ON (mine.id) asking.no, asking.key, mine.id
          FROM mine JOIN staged_variant asking ON asking.no = mine.no
          WHERE asking.known_id IS NULL AND {condition} AND mine.id NOT IN ({_TAKEN})
          ORDER BY mine.id, asking.position) AS found
    WHERE self.no = found.no AND self.key = found.key"""


_TAKEN: Final = "SELECT known_id FROM staged_variant WHERE known_id IS NOT NULL"

_MATCH: Final = [
    text(_match(condition))
    for condition in (
        """EXISTS (SELECT FROM external_id link WHERE link.system = :system
                AND link.entity = 'variant' AND link.external_id = asking.external_id
                AND link.internal_id = mine.id)""",
        "mine.id = 'variant_' || md5(mine.product_id || ' ' || asking.key)",
        "mine.sku = asking.sku",
        "asking.options <> '{}' AND mine.options = asking.options",
    )
]

# A variant that is found to be another one leaves the id that was made for it.
_APART: Final = text(f"""
    UPDATE staged_variant self
    SET known_id = 'variant_' || md5(staged.product_id || ' again ' || self.key)
    FROM staged_product staged
    WHERE staged.no = self.no AND self.known_id IS NULL
      AND 'variant_' || md5(staged.product_id || ' ' || self.key) IN ({_TAKEN})""")

_PRICES: Final = text("""
    UPDATE staged_price SET known_id = found.known_id FROM staged_variant found
    WHERE found.no = staged_price.no AND found.key = staged_price.key
      AND found.known_id IS NOT NULL""")


def _stored(fields: dict[str, str], owner: str, table: str, brought: set[str]) -> str:
    names = [name for name, owned_by in fields.items() if owned_by == owner and name in brought]
    return ", ".join(f"{name} = {table}.{name}" for name in names)


_STAGED_VARIANT: Final = {"title", "options", "position", "manage_inventory", "sku"}

_KEEP: Final = {
    PIM: (
        text(f"""
    UPDATE staged_variant self SET {_stored(VARIANT_FIELDS, ERP, "variant", _STAGED_VARIANT)}
    FROM variant WHERE variant.id = self.known_id"""),
    ),
    ERP: (
        text("""
    UPDATE staged_product SET action = 'ignored'
    WHERE action = 'create' AND status = 'archived'"""),
        text(f"""
    UPDATE staged_variant self SET sku = coalesce(self.sku, variant.sku),
        {_stored(VARIANT_FIELDS, PIM, "variant", _STAGED_VARIANT)}
    FROM variant JOIN staged_product staged ON staged.product_id = variant.product_id
    WHERE staged.is_shared AND variant.id = self.known_id AND staged.no = self.no"""),
        text("""
    DELETE FROM staged_option USING staged_product staged
    WHERE staged.no = staged_option.no AND staged.is_shared"""),
        text(f"""
    UPDATE staged_product staged SET has_options = false,
        {_stored(PRODUCT_FIELDS, PIM, "product", {"title", "description", "status"})}
    FROM product WHERE product.id = staged.product_id AND staged.is_shared"""),
    ),
}

# What the ERP lists no longer cannot be bought; its SKU is free for another one. Of a product
# that is gone from sale the SKUs stay: they tell which variants come back.
_THEIR_VARIANTS: Final = f"""
    mine AS MATERIALIZED (
        SELECT staged.no, staged.has_variants, variant.id
        FROM staged_product staged
        CROSS JOIN LATERAL (SELECT id FROM variant WHERE product_id = staged.product_id
                            OFFSET 0) AS variant
        WHERE :withdraws AND staged.action = 'update'),
    linked AS MATERIALIZED (
        SELECT mine.*, link.external_id FROM mine
        CROSS JOIN LATERAL (SELECT external_id FROM external_id WHERE internal_id = mine.id
            AND entity = 'variant' AND system = '{ERP}' OFFSET 0) AS link)"""

WITHDRAW: Final = (
    text(f"""
    WITH {_THEIR_VARIANTS}
    UPDATE variant SET sku = NULL FROM linked
    WHERE variant.id = linked.id AND linked.has_variants AND linked.id NOT IN ({_TAKEN})"""),
    text(f"""
    WITH {_THEIR_VARIANTS}
    DELETE FROM external_id link USING linked
    WHERE link.system = '{ERP}' AND link.entity = 'variant'
      AND link.external_id = linked.external_id AND (linked.no, linked.external_id) NOT IN (
          SELECT no, external_id FROM staged_variant WHERE external_id IS NOT NULL)"""),
)

# All that the ERP alone has described, and others where a variant is new or its SKU is.
_CHANGED: Final = """
    SELECT product.id FROM product_revision revision JOIN product ON product.id = product_id
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL
      AND (product.message_id = 0 OR (
            SELECT jsonb_agg(jsonb_build_array(id, sku) ORDER BY id) FROM variant
            WHERE variant.product_id = product.id) IS DISTINCT FROM (
            SELECT jsonb_agg(jsonb_build_array(id, sku) ORDER BY id)
            FROM jsonb_populate_recordset(NULL::variant,
                CASE jsonb_typeof(before->'variants') WHEN 'array' THEN before->'variants'
                ELSE '[]' END)))"""

_ANNOUNCE: Final = text(announce_documents(_CHANGED))
