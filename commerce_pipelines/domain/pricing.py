"""What the store knows of a variant for one buyer, and what it says to a quantity of it.

Belongs here: which tier counts, which words of the ERP are missing or too old, and the
checks in their order. Does not belong here: asking the ERP (`services/enquiries`), and
where its words are kept (`store/offers`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeVar

from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.money import unit_price_text
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier, StockLevel
from commerce_pipelines.errors import Declined

# A price older than this is not even shown.
SHOWN_SECONDS: Final = 24 * 3600.0

T = TypeVar("T")


class Part(StrEnum):
    """Something that the ERP says."""

    GROUP = "group"
    PRICE = "price"
    STOCK = "stock"
    RULE = "rule"


class Word(NamedTuple, Generic[T]):
    """Something that the ERP said.

    Attributes:
        fetched_at: When we asked, aware.
        age_seconds: How long ago that is, by the store's clock.
    """

    value: T
    fetched_at: datetime
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys, as far as prices and rules depend on it.

    Attributes:
        company_name: As the customer gives it; None without a company.
        company_key: The folded name.
    """

    currency_code: str
    company_name: str | None = None
    company_key: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant for one buyer; a word is None as long as the ERP has not said it.

    Attributes:
        external_id: In the ERP; None while it does not know the variant.
        counts_stock: Whether its pieces are counted at all.
        looked_at: When the store was asked, by its clock.
        group: The company's customer group.
        price: The tiers from the smallest quantity on; empty is not for sale.
        stock: Without what orders here hold already.
        rule: Whether the company may buy it.
    """

    variant_id: str
    external_id: str | None
    title: str
    sku: str | None
    counts_stock: bool
    buyer: Buyer
    looked_at: datetime
    group: Word[str] | None = None
    price: Word[tuple[PriceTier, ...]] | None = None
    stock: Word[StockLevel] | None = None
    rule: Word[bool] | None = None

    @property
    def customer_group(self) -> str | None:
        """Returns whose prices count; None as long as that is not known."""
        if self.buyer.company_key is None:
            return EVERYBODY
        return self.group.value if self.group else None

    def word(self, part: Part) -> Word[Any] | None:
        """Returns what the ERP has said of a part."""
        return dict(self.words).get(part)

    @property
    def words(self) -> Iterator[tuple[Part, Word[Any] | None]]:
        """Yields the parts that count here, with what the ERP has said."""
        if self.buyer.company_key is not None:
            yield Part.GROUP, self.group
            yield Part.RULE, self.rule
        if self.counts_stock:
            yield Part.STOCK, self.stock
        yield Part.PRICE, self.price

    def older_than(self, seconds: float) -> list[Part]:
        """Returns the parts that are missing or older."""
        return [part for part, word in self.words if word is None or word.age_seconds > seconds]

    def without(self, parts: Collection[Part]) -> Offer:
        """Returns it as if the ERP had not said these parts."""
        unsaid: dict[str, Any] = {part.value: None for part in parts}
        return replace(self, **unsaid)


def tier_for(tiers: Sequence[PriceTier], quantity: int) -> PriceTier | None:
    """Returns the tier of a quantity: the highest one that it reaches; None without one."""
    reached = [tier for tier in tiers if tier.min_quantity <= quantity]
    return max(reached) if reached else None


def check_rule(offer: Offer) -> None:
    """Checks that the buyer's company may buy it.

    Raises:
        Declined: It may not.
    """
    if offer.rule is not None and not offer.rule.value:
        raise Declined(
            Code.COMPANY_MAY_NOT_BUY,
            f"{offer.buyer.company_name} may not buy {offer.title}.",
            variant_id=offer.variant_id,
        )


def check_stock(offer: Offer, quantity: int) -> None:
    """Checks that so many pieces can be sold.

    Raises:
        Declined: They cannot.
    """
    if not offer.counts_stock:
        return
    level = offer.stock.value if offer.stock else StockLevel(0, allows_out_of_stock=False)
    if level.available < quantity and not level.allows_out_of_stock:
        left = max(level.available, 0)
        raise Declined(
            Code.OUT_OF_STOCK,
            f"{quantity} pieces of {offer.title} are wanted; {left} are left.",
            variant_id=offer.variant_id,
            available=left,
        )


def check_for_sale(offer: Offer) -> None:
    """Checks that the ERP sells the variant at all.

    Raises:
        Declined: It does not know it.
    """
    if offer.external_id is None:
        raise Declined(
            Code.NO_PRICE,
            f"{offer.title} has no price in the ERP, which does not know it.",
            variant_id=offer.variant_id,
        )


def priced(offer: Offer, quantity: int) -> PriceTier:
    """Checks that a buyer may have so many pieces, and returns the tier of their price.

    The words may be of any age: who asks has seen to that.

    Raises:
        Declined: The company may not buy it, there is not enough of it, or it has no price; the
            first of these.
    """
    check_rule(offer)
    check_stock(offer, quantity)
    return price_tier(offer, quantity)[0]


def price_tier(offer: Offer, quantity: int) -> tuple[PriceTier, Word[tuple[PriceTier, ...]]]:
    """Returns the tier of a quantity, and the ERP's word that it is from.

    Raises:
        Declined: There is no price.
    """
    tier = tier_for(offer.price.value, quantity) if offer.price else None
    if tier is None or offer.price is None:
        raise Declined(
            Code.NO_PRICE,
            f"{offer.title} has no price in {offer.buyer.currency_code}.",
            variant_id=offer.variant_id,
            currency_code=offer.buyer.currency_code,
        )
    return tier, offer.price


class PriceChange(NamedTuple):
    """A line whose price is not what the buyer has seen."""

    line_id: str
    variant_id: str
    old: Decimal
    new: Decimal

    def as_json(self, currency_code: str) -> dict[str, str]:
        """Returns both prices as text."""
        return {
            "line_id": self.line_id,
            "variant_id": self.variant_id,
            "old_unit_price": unit_price_text(self.old, currency_code),
            "new_unit_price": unit_price_text(self.new, currency_code),
        }
