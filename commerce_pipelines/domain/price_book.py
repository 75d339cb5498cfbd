"""What the ERP says of a variant: its price, its stock, and who may buy it.

Belongs here: the shapes, shared by the ERP's connectors, the price book and the
cart. Does not belong here: which price counts for a cart (`pricing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

# Customers without a company, and companies that the ERP does not know, are of this group.
EVERYBODY = ""


class PriceTier(NamedTuple):
    """The price of one unit from a quantity on.

    Attributes:
        min_quantity: From so many units on, at least 1.
        amount: In the currency's main unit, not negative, at most four decimals.
    """

    min_quantity: int
    amount: Decimal


class PriceKey(NamedTuple):
    """What a price is for.

    Attributes:
        variant: The variant, by the ERP's id or by ours; the holder says which.
        currency_code: ISO 4217.
        customer_group: The ERP's word for who pays it; `EVERYBODY` without one.
    """

    variant: str
    currency_code: str
    customer_group: str


@dataclass(frozen=True, slots=True)
class StockLevel:
    """How much of a variant can be sold.

    Attributes:
        available: Whole units, also negative where the ERP has sold more than it has.
        allows_out_of_stock: Whether it may be ordered beyond that.
    """

    available: int
    allows_out_of_stock: bool


@dataclass(frozen=True, slots=True)
class Company:
    """A company that buys.

    Attributes:
        name: As our customers give it.
        customer_group: Whose prices it pays.
    """

    name: str
    customer_group: str
