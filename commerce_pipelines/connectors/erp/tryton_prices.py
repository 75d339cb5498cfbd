"""Prices in Tryton: what a price list makes of a variant, tier by tier.

Belongs here: price lists, the quantities at which their lines begin, and asking for
prices at each of these. Does not belong here: who pays which list (`tryton_parties`).

A customer group is a price list by its name, `EVERYBODY` the list of the web shop. A
variant for which a list gives no price is not for sale by it. Tryton converts a price
into another currency by its own rate of the day; without a rate there is no price.
A price is for the unit in which a variant is sold.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from commerce_pipelines.connectors.erp.port import Prices, RejectedRecord
from commerce_pipelines.connectors.erp.tryton_records import MOST_IDS, Records, id_in
from commerce_pipelines.connectors.erp.tryton_shop import Shop, ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Domain, Row
from commerce_pipelines.domain.money import unit_price
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier
from commerce_pipelines.errors import Refused

UNITS: Final = ("sale_uom.factor", "default_uom.factor")
_FIELDS: Final = ("sale_price_uom", *UNITS)
_LINE: Final = "product.price_list.line"

# Prices of one variant by the quantity they were asked for.
_Asked = dict[int, Decimal | None]


@dataclass(frozen=True, slots=True)
class PriceList:
    """A price list.

    Attributes:
        id: None stands for the list prices of the products.
        in_sale_unit: Whether its quantities are counted in the unit of sale.
    """

    id: int | None
    in_sale_unit: bool = True


class PriceReader:
    """Reads prices.

    Args:
        records: The database.
        shops: The shop that sells.
    """

    def __init__(self, records: Records, shops: ShopReader) -> None:
        self._records = records
        self._shops = shops

    def lists(self) -> dict[str, PriceList]:
        """Returns the shop's price lists by customer group.

        A name that several lists share tells them apart by their ids.
        """
        shop = self._shops.shop()
        domain = [("company", "=", shop.company)]
        rows = list(
            self._records.read("product.price_list", domain, ["name", "unit"], shop.context)
        )
        names = [row["name"] for row in rows]
        found = {EVERYBODY: PriceList(None)}
        for row in rows:
            each = PriceList(row["id"], row["unit"] == "product_sale")
            name = row["name"]
            found[name if names.count(name) == 1 else f"{name} ({row['id']})"] = each
            if row["id"] == shop.price_list:
                found[EVERYBODY] = each
        return found

    def fetch(self, variants: Sequence[str], currency_code: str, customer_group: str) -> Prices:
        """Fetches prices; see the port."""
        as_of = datetime.now(UTC)
        tiers: dict[str, tuple[PriceTier, ...] | None] = dict.fromkeys(variants)
        currency = self._currency(currency_code) if variants else None
        price_list = self.lists().get(customer_group) if currency is not None else None
        if currency is None or price_list is None:
            return Prices(as_of, tiers)
        enquiry = _Enquiry(self._records, self._shops.shop(), price_list, currency)
        for ids in _batches(variants):
            for variant, asked in enquiry.ask(ids).items():
                try:
                    tiers[variant] = _tiers(asked)
                except ValueError as error:
                    enquiry.reject(variant, f"price {error}")
        for rejected in enquiry.rejected:
            tiers.pop(rejected, None)
        return Prices(as_of, tiers, tuple(enquiry.rejected.values()))

    def priced(self, variants: Sequence[str], price_list: PriceList) -> set[str]:
        """Returns those of the variants that a list has a price for."""
        shop = self._shops.shop()
        enquiry = _Enquiry(self._records, shop, price_list, shop.company_currency)
        found: set[str] = set()
        for ids in _batches(variants):
            rows = enquiry.rows(ids, 1)
            found |= {str(row["id"]) for row in rows if row["sale_price_uom"] is not None}
        # A price that cannot be read is no ban.
        return found | set(enquiry.rejected)

    def _currency(self, code: str) -> int | None:
        """Returns the id of a currency that Tryton can sell in today."""
        shop = self._shops.shop()
        currency = shop.currencies.get(code)
        if currency is None or currency == shop.company_currency:
            return currency
        domain: Domain = [("id", "in", [currency, shop.company_currency])]
        rows = self._records.search("currency.currency", domain, ["rate"], shop.context)
        return currency if len(rows) == 2 and all(row["rate"] for row in rows) else None


class _Enquiry:
    """What is asked of one price list in one currency.

    Attributes:
        rejected: What has no price that can be read, by variant.
    """

    def __init__(self, records: Records, shop: Shop, price_list: PriceList, currency: int) -> None:
        self._records = records
        self._shop = shop
        self._price_list = price_list
        in_list = {} if price_list.id is None else {"price_list": price_list.id}
        self._context = {**shop.context, **in_list, "currency": currency}
        self.rejected: dict[str, RejectedRecord] = {}

    def reject(self, variant: str, reason: str) -> None:
        """Notes that a variant has no price that can be read."""
        self.rejected[variant] = RejectedRecord(variant, reason)

    def ask(self, ids: list[int]) -> dict[str, _Asked]:
        """Asks for prices at one unit and wherever a line of the list begins."""
        rows = self.rows(ids, 1)
        asked: dict[str, _Asked] = {str(row["id"]): {1: row["sale_price_uom"]} for row in rows}
        for quantity, group in self._steps(self._ratios(rows)):
            for row in self.rows(group, quantity):
                # One that is sold since a moment ago has been asked for nothing else.
                if (prices := asked.get(str(row["id"]))) is not None:
                    prices[quantity] = row["sale_price_uom"]
        return asked

    def rows(self, ids: list[int], quantity: int) -> list[Row]:
        """Asks for prices at a quantity; where Tryton says no, looks for the one it means."""
        domain: Domain = [("id", "in", ids), ("salable", "=", True)]
        context = {**self._context, "quantity": quantity}
        try:
            return self._records.search("product.product", domain, _FIELDS, context)
        except Refused as error:
            if len(ids) == 1:
                self.reject(str(ids[0]), str(error))
                return []
            half = len(ids) // 2
            return [*self.rows(ids[:half], quantity), *self.rows(ids[half:], quantity)]

    def _ratios(self, rows: Sequence[Row]) -> dict[int, Fraction]:
        """Returns how many units of the list each variant is sold by."""
        ratios: dict[int, Fraction] = {}
        for row in rows:
            try:
                in_sale_unit = self._price_list.in_sale_unit
                ratios[row["id"]] = Fraction(1) if in_sale_unit else sale_ratio(row)
            except ValueError as error:
                self.reject(str(row["id"]), f"variant {error}")
        return ratios

    def _steps(self, ratios: Mapping[int, Fraction]) -> Iterator[tuple[int, list[int]]]:
        """Yields each quantity at which a price may change, and the variants it may change for."""
        if self._price_list.id is None or not ratios:
            return
        domain: Domain = [
            ("price_list", "=", self._price_list.id),
            ("quantity", ">", 0),
            ["OR", ("product", "=", None), ("product", "in", list(ratios))],
        ]
        fields = ["quantity", "product"]
        concerned: dict[int, set[int]] = defaultdict(set)
        for line in self._records.read(_LINE, domain, fields, self._shop.context):
            for variant in [line["product"]] if line["product"] else ratios:
                first = math.ceil(Fraction(str(line["quantity"])) / ratios[variant])
                if first > 1:
                    concerned[first].add(variant)
        yield from ((quantity, sorted(group)) for quantity, group in sorted(concerned.items()))


def sale_ratio(row: Row) -> Fraction:
    """Returns how many of the units that are counted make one that is sold.

    Raises:
        ValueError: The units cannot be read.
    """
    if not row["sale_uom"]:
        return Fraction(1)
    try:
        sold, counted = row["sale_uom"]["factor"], row["default_uom"]["factor"]
        return Fraction(str(sold)) / Fraction(str(counted))
    except (ArithmeticError, KeyError, TypeError) as error:
        raise ValueError("has units that cannot be read") from error


def _batches(variants: Sequence[str]) -> Iterator[list[int]]:
    ids = sorted({number for each in variants if (number := id_in(each)) is not None})
    for start in range(0, len(ids), MOST_IDS):
        yield ids[start : start + MOST_IDS]


def _tiers(asked: Mapping[int, Decimal | None]) -> tuple[PriceTier, ...] | None:
    """Returns the tiers that differ from the one before; None for a variant without a price.

    Raises:
        ValueError: They are no prices, or there is none for some quantities only.
    """
    if all(amount is None for amount in asked.values()):
        return None
    tiers: list[PriceTier] = []
    for quantity, amount in sorted(asked.items()):
        if amount is None:
            raise ValueError(f"is missing for {quantity} units but not for others")
        exact = unit_price(amount)
        if not tiers or tiers[-1].amount != exact:
            tiers.append(PriceTier(quantity, exact))
    return tuple(tiers)
