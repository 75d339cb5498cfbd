"""What the price book says of some variants to one buyer.

Belongs here: one statement that reads variants with everything the ERP said of them.
Does not belong here: whether that is fresh enough, and what follows (`domain.pricing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, TextClause, text

from commerce_pipelines.domain.price_book import PriceTier, StockLevel
from commerce_pipelines.domain.pricing import Buyer, Offer, Word
from commerce_pipelines.store.together import Rows, ask_together

T = TypeVar("T")


def load_offers(
    connection: Connection, buyer: Buyer, variant_ids: Sequence[str]
) -> dict[str, Offer]:
    """Returns the variants that are there and published, by id, as a buyer gets them."""
    names: dict[str, Any] = {"currency": buyer.currency_code, "company": buyer.company_key}
    if len(variant_ids) == 1:
        asked = _OFFER, {**names, "variant": variant_ids[0]}
    else:
        asked = _OFFERS, {**names, "variants": list(variant_ids)}
    (rows,) = ask_together(connection, asked)
    return offers_in(rows, buyer)


def offering(cart_id: str, variant_id: str) -> tuple[TextClause, dict[str, Any]]:
    """Returns the statement that finds a variant as a cart's buyer gets it, for `offers_in`."""
    return _OFFER_TO_CART, {"cart": cart_id, "variant": variant_id}


def offers_in(rows: Rows, buyer: Buyer) -> dict[str, Offer]:
    """Returns the variants in the rows of a statement, by id."""
    return {row["id"]: _offer(row, buyer) for row in rows}


def find_variant(connection: Connection, name: str) -> str | None:
    """Returns the id of a variant by its id or its SKU; None if there is none."""
    found = connection.execute(_VARIANT, {"name": name}).scalar_one_or_none()
    return None if found is None else str(found)


def _offer(row: Mapping[str, Any], buyer: Buyer) -> Offer:
    return Offer(
        variant_id=row["id"],
        external_id=row["external_id"],
        title=row["title"],
        sku=row["sku"],
        counts_stock=row["manage_inventory"],
        buyer=buyer,
        looked_at=row["looked_at"],
        group=_word(row["customer_group"], row["group_at"], row["group_age"]),
        price=_word(
            _tiers(row["min_quantities"], row["amounts"]), row["price_at"], row["price_age"]
        ),
        stock=_word(
            StockLevel(row["left"], row["allows_out_of_stock"]), row["stock_at"], row["stock_age"]
        ),
        rule=_word(row["is_allowed"], row["rule_at"], row["rule_age"]),
    )


def _word(value: T, fetched_at: Any, age_seconds: Any) -> Word[T] | None:
    return None if fetched_at is None else Word(value, fetched_at, float(age_seconds))


def _tiers(min_quantities: Any, amounts: Any) -> tuple[PriceTier, ...]:
    return tuple(map(PriceTier, min_quantities or (), amounts or ()))


def _age(moment: str) -> str:
    return f"CAST(extract(epoch FROM now() - {moment}) AS float)"


def _offers_to(buyer: str, variants: str) -> TextClause:
    # What a product is called comes first, unless the variant alone says it all.
    return text(f"""
    WITH buyer AS ({buyer})
    SELECT variant.id, variant.sku, variant.manage_inventory, now() AS looked_at,
           CASE WHEN variant.title IN ('', product.title) THEN product.title
                ELSE product.title || ', ' || variant.title END AS title,
           (SELECT min(external_id) FROM external_id
            WHERE system = 'erp' AND entity = 'variant' AND internal_id = variant.id)
               AS external_id,
           company.customer_group, company.fetched_at AS group_at,
           {_age("company.fetched_at")} AS group_age,
           book.min_quantities, book.amounts, book.fetched_at AS price_at,
           {_age("book.fetched_at")} AS price_age,
           level.available - level.reserved AS left, level.allows_out_of_stock,
           level.fetched_at AS stock_at, {_age("level.fetched_at")} AS stock_age,
           rule.is_allowed, rule.fetched_at AS rule_at, {_age("rule.fetched_at")} AS rule_age
    FROM buyer CROSS JOIN variant
    JOIN product ON product.id = variant.product_id AND product.status = 'published'
    LEFT JOIN company ON company.name_key = buyer.company_key
    LEFT JOIN price_book book ON book.variant_id = variant.id
         AND book.currency_code = buyer.currency_code
         AND book.customer_group = CASE WHEN buyer.company_key IS NULL THEN ''
                                        ELSE company.customer_group END
    LEFT JOIN stock_level level ON level.variant_id = variant.id
    LEFT JOIN purchase_rule rule ON rule.variant_id = variant.id
         AND rule.company_key = buyer.company_key
    WHERE variant.id {variants}""")


_BUYER: Final = (
    "SELECT CAST(:currency AS text) AS currency_code, CAST(:company AS text) AS company_key"
)
_BUYER_OF_CART: Final = """
    SELECT cart.currency_code, customer.company_key
    FROM cart LEFT JOIN customer ON customer.id = cart.customer_id WHERE cart.id = :cart"""

_OFFERS: Final = _offers_to(_BUYER, "= ANY (CAST(:variants AS text[]))")
# One variant, not a list of one: for that PostgreSQL keeps its plan, which takes longer to make
# than to follow.
_OFFER: Final = _offers_to(_BUYER, "= :variant")
_OFFER_TO_CART: Final = _offers_to(_BUYER_OF_CART, "= :variant")

_VARIANT: Final = text("""
    SELECT id FROM variant WHERE id = :name OR sku = :name ORDER BY id = :name DESC LIMIT 1""")
