"""Stock in Tryton.

Belongs here: what of a variant can be sold from the shop's warehouses. Does not belong
here: what our own carts have reserved.

What is there now and not assigned to a shipment is a promise; so is what remains after
all that is planned to go and to come. The lesser of both is available: neither goods
that only a purchase may bring, nor goods that an order waits for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from commerce_pipelines.connectors.erp.port import RejectedRecord, Stock
from commerce_pipelines.connectors.erp.tryton_prices import UNITS, sale_ratio
from commerce_pipelines.connectors.erp.tryton_records import MOST_IDS, Records, id_in
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Row
from commerce_pipelines.domain.price_book import StockLevel

_FIELDS: Final = ("quantity", "forecast_quantity", "consumable", "type", *UNITS)


class StockReader:
    """Reads stock.

    Args:
        records: The database.
        shops: The shop that sells.
    """

    def __init__(self, records: Records, shops: ShopReader) -> None:
        self._records = records
        self._shops = shops

    def fetch(self, variants: Sequence[str]) -> Stock:
        """Fetches stock levels; see the port."""
        as_of = datetime.now(UTC)
        levels: dict[str, StockLevel] = {}
        rejected: list[RejectedRecord] = []
        ids = sorted({number for each in variants if (number := id_in(each)) is not None})
        for start in range(0, len(ids), MOST_IDS):
            for row in self._rows(ids[start : start + MOST_IDS]):
                try:
                    levels[str(row["id"])] = _level(row)
                except ValueError as error:
                    rejected.append(RejectedRecord(str(row["id"]), f"stock {error}"))
        return Stock(as_of, levels, tuple(rejected))

    def _rows(self, ids: list[int]) -> list[Row]:
        shop = self._shops.shop()
        fields = (*_FIELDS, "supply_on_sale") if shop.supplies else _FIELDS
        context = {**shop.everything, "locations": list(shop.warehouses), "stock_assign": True}
        return self._records.search("product.product", [("id", "in", ids)], fields, context)


def _level(row: Row) -> StockLevel:
    """Reads a level.

    Raises:
        ValueError: It is none.
    """
    ordered_in = row.get("supply_on_sale") in {"stock_first", "always"}
    allows = bool(row["consumable"]) or ordered_in or row["type"] == "service"
    counted = min(row["quantity"] or 0, row["forecast_quantity"] or 0)
    return StockLevel(math.floor(Fraction(str(counted)) / sale_ratio(row)), allows)
