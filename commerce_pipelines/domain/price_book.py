"""What the ERP says of a variant: its price, its stock, and who may buy it.

Belongs here: the shapes, shared by the ERP's connectors, the price book and the
cart. Does not belong here: which price counts for a cart (`pricing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from commerce_pipelines.domain.money import unit_price

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


def fault_of(tiers: Sequence[PriceTier]) -> str | None:
    """Returns why tiers cannot be a price; None when they can.

    Whoever keeps prices asks this: a column of four decimals would round a fifth away.
    """
    quantities = [tier.min_quantity for tier in tiers]
    if not quantities or quantities[0] != 1:
        return "the price has no tier from one unit on"
    if any(later <= earlier for earlier, later in pairwise(quantities)):
        return "the quantities of the price's tiers do not rise"
    for tier in tiers:
        try:
            unit_price(tier.amount)
        except ValueError as error:
            return f"the price {error}"
    return None
