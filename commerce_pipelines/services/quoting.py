"""Trying a purchase without a cart: each check in its order, with what it found.

Belongs here: a report for a person. Does not belong here: the checks themselves
(`domain.pricing`), which are those of the cart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from commerce_pipelines.domain.cart import total_of
from commerce_pipelines.domain.money import currency_code, unit_price_text
from commerce_pipelines.domain.pricing import Offer, check_rule, check_stock, price_tier
from commerce_pipelines.errors import Declined, InvalidInput
from commerce_pipelines.services.enquiries import Enquiries, Inquired, Open
from commerce_pipelines.services.pricing import buyer_of, find_offers
from commerce_pipelines.store.offers import find_variant


class Check(NamedTuple):
    """What one check found.

    Attributes:
        told: A sentence.
    """

    name: str
    passed: bool
    told: str


@dataclass(frozen=True)
class Purchase:
    """What is tried.

    Attributes:
        variant: Its id or its SKU.
    """

    variant: str
    quantity: int
    currency_code: str
    customer_id: str | None = None


def try_purchase(enquiries: Enquiries, purchase: Purchase) -> list[Check]:
    """Returns the checks until the first one that does not pass.

    Raises:
        InvalidInput: There is no such currency.
        Unavailable: The ERP does not answer, and nothing younger than a day is known.
    """
    try:
        currency = currency_code(purchase.currency_code)
    except ValueError as error:
        raise InvalidInput(f"The currency {error}.") from error

    def attempt(connection: Connection, inquired: Inquired) -> Offer | Open:
        variant_id = find_variant(connection, purchase.variant) or purchase.variant
        buyer = buyer_of(connection, purchase.customer_id, currency)
        offers = find_offers(connection, inquired, buyer, [variant_id])
        return offers if isinstance(offers, Open) else offers[variant_id]

    try:
        offer = enquiries.settle(attempt)
    except Declined as error:
        return [Check("variant", passed=False, told=str(error))]
    return list(_checks(offer, purchase.quantity))


def _checks(offer: Offer, quantity: int) -> Iterator[Check]:
    known = f"{offer.title} is {offer.external_id} in the ERP"
    yield Check("variant", passed=True, told=known)
    tellers: dict[str, Callable[[Offer, int], str]] = {
        "company": _company,
        "stock": _stock,
        "price": _price,
    }
    for name, tell in tellers.items():
        try:
            yield Check(name, passed=True, told=tell(offer, quantity))
        except Declined as error:
            yield Check(name, passed=False, told=str(error))
            return


def _company(offer: Offer, quantity: int) -> str:
    check_rule(offer)
    if offer.buyer.company_name is None:
        return "everybody may buy it"
    group = offer.customer_group
    return f"{offer.buyer.company_name} may buy it, at {group or 'everybody'}'s prices"


def _stock(offer: Offer, quantity: int) -> str:
    check_stock(offer, quantity)
    if offer.stock is None or not offer.counts_stock:
        return "its pieces are not counted"
    beyond = ", and it is sold beyond that" if offer.stock.value.allows_out_of_stock else ""
    return f"{offer.stock.value.available} are left{beyond}{_age(offer.stock.age_seconds)}"


def _price(offer: Offer, quantity: int) -> str:
    tier, word = price_tier(offer, quantity)
    currency = offer.buyer.currency_code
    each = unit_price_text(tier.amount, currency)
    total = total_of(tier.amount, quantity, currency)
    return (
        f"{each} {currency} each, from {tier.min_quantity} on; {quantity} come to {total} in the "
        f"minor unit{_age(word.age_seconds)}"
    )


def _age(seconds: float) -> str:
    return f" (the ERP said so {seconds:.0f} s ago)"
