"""The ERP that sells what the PIM has.

Belongs here: ids, prices and stock made from the PIM's products, and the exceptions
of `erp.json`, which are named by SKU. Does not belong here: other seeds (`seeds`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from commerce_pipelines.sandbox.moments import moment_text

Record = dict[str, Any]

# The same at each start, so that a reset brings back the very same records.
_FIRST_CHANGE = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
_BETWEEN_CHANGES = timedelta(seconds=97, microseconds=421)
_USUAL_PRICE = Decimal("19.90")
_DECIMALS = 4


def moment_at(position: int) -> str:
    """Returns the moment of a seed's last change."""
    return moment_text(_FIRST_CHANGE + position * _BETWEEN_CHANGES)


def with_state(product: Record, position: int) -> Record:
    """Returns a product of a seed with all that a product has."""
    usual = {"description": None, "active": True, "changed_at": moment_at(position)}
    variants = [{"on_sale": True, "options": [], **each} for each in product["variants"]]
    return {**usual, **product, "variants": variants, "revision": "r1"}


def from_catalogue(catalogue: Iterable[Record], exceptions: Record) -> Record:
    """Returns the seeds of an ERP that sells these products of the PIM.

    Args:
        catalogue: The PIM's products; what has no SKU is not sold.
        exceptions: What `erp.json` says.
    """
    products: list[Record] = []
    prices: list[Record] = []
    stock: list[Record] = []
    for product in catalogue:
        sold = [each for each in _variants(product) if each.get("sku")]
        if not sold:
            continue
        products.append(_product(product, sold))
        for variant in sold:
            stock.append(_stock(variant["sku"], len(stock), exceptions))
            if variant["sku"] not in exceptions["not_for_sale"]:
                prices.extend(_prices(variant, exceptions))
    for special in exceptions["prices"]:
        prices.append({**special, "variant": variant_id(special["sku"])})
    companies = [
        {**each, "forbidden": [variant_id(sku) for sku in each.get("forbidden", [])]}
        for each in exceptions["companies"]
    ]
    return {"products": products, "prices": prices, "stock": stock, "companies": companies}


def variant_id(sku: str) -> str:
    """Returns the ERP's id of the variant with this SKU."""
    return f"v-{sku.lower()}"


def _variants(product: Record) -> list[Record]:
    variants: list[Record] = product.get("variants") or [{"sku": product.get("sku")}]
    return variants


def _product(product: Record, sold: list[Record]) -> Record:
    own = str(product.get("external_id") or sold[0]["sku"]).lower()
    variants = [
        {
            "id": variant_id(each["sku"]),
            "sku": each["sku"],
            "title": each.get("title") or product["title"],
            "options": [
                {"name": name, "value": value}
                for name, value in (each.get("options") or {}).items()
            ],
        }
        for each in sold
    ]
    return {"id": f"p-{own.removeprefix('pim-')}", "title": product["title"], "variants": variants}


def _stock(sku: str, position: int, exceptions: Record) -> Record:
    return {
        "variant": variant_id(sku),
        "available": exceptions["available"].get(sku, str(20 + position * 7 % 60)),
        "allows_out_of_stock": sku in exceptions["made_to_order"],
    }


def _prices(variant: Record, exceptions: Record) -> Iterator[Record]:
    tiers = _tiers_of(variant, "eur") or {1: _USUAL_PRICE}
    by_currency = {"EUR": (tiers, _DECIMALS)}
    for code, (factor, digits) in exceptions["currencies"].items():
        own = _tiers_of(variant, code.lower())
        converted = {at: amount * Decimal(factor) for at, amount in tiers.items()}
        by_currency[code] = (own or converted, digits)
    for code, (amounts, digits) in by_currency.items():
        yield _price(variant["sku"], code, "", amounts, digits)
        for group, factor in exceptions["groups"].items():
            reduced = {at: amount * Decimal(factor) for at, amount in amounts.items()}
            yield _price(variant["sku"], code, group, reduced, _DECIMALS if digits else 0)


def _tiers_of(variant: Record, currency_code: str) -> dict[int, Decimal]:
    return {
        each.get("min_quantity", 1): Decimal(str(each["amount"]))
        for each in variant.get("prices") or []
        if each["currency_code"].lower() == currency_code
    }


def _price(sku: str, code: str, group: str, amounts: dict[int, Decimal], digits: int) -> Record:
    step = Decimal(1).scaleb(-digits)
    tiers = [
        {"min_quantity": at, "amount": str(amount.quantize(step))}
        for at, amount in sorted(amounts.items())
    ]
    return {
        "variant": variant_id(sku),
        "currency_code": code,
        "customer_group": group,
        "tiers": tiers,
    }
