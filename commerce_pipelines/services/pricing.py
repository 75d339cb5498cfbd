"""What a buyer is offered: from the price book while it is fresh, else the ERP is asked.

    find the variant ──► company's group, rule, stock, price: each fresh, or asked for
                         (the price only once the group is known)
    ERP away: what is old is used, up to a day, and says so; without any it is an error

A price never comes from anybody but the ERP. Does not belong here: how it is asked
(`enquiries`), the order of the checks (`domain.pricing`), and completing a cart, which
takes nothing that is old (`checkout`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.price_book import EVERYBODY
from commerce_pipelines.domain.pricing import (
    SHOWN_SECONDS,
    Buyer,
    Offer,
    Part,
    check_for_sale,
    price_tier,
)
from commerce_pipelines.errors import Declined
from commerce_pipelines.services.enquiries import Inquired, Matter, Open, Question
from commerce_pipelines.store.customers import load_buyer
from commerce_pipelines.store.offers import load_offers

_NONE: Final[Mapping[str, Offer]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of some pieces of a variant, and what else the ERP says of it.

    Attributes:
        min_quantity: From so many pieces on, the price counts.
        fetched_at: When the ERP was asked for the price, aware.
        is_stale: The price is older than a cart should take; the ERP did not answer.
    """

    offer: Offer
    quantity: int
    unit_price: Decimal
    min_quantity: int
    fetched_at: datetime
    age_seconds: float
    is_stale: bool


def quote(
    connection: Connection,
    inquired: Inquired,
    *,
    variant_id: str,
    currency_code: str,
    customer_id: str | None,
    quantity: int,
) -> Quote | Open:
    """Says what some pieces of a variant cost somebody; changes no cart.

    Raises:
        Declined: There is no such variant or customer, or no price.
        Unavailable: The ERP does not answer, and nothing younger than a day is known.
    """
    buyer = buyer_of(connection, customer_id, currency_code)
    found = find_offers(connection, inquired, buyer, [variant_id])
    if isinstance(found, Open):
        return found
    offer = found[variant_id]
    tier, word = price_tier(offer, quantity)
    return Quote(
        offer,
        quantity,
        tier.amount,
        tier.min_quantity,
        word.fetched_at,
        word.age_seconds,
        is_stale=word.age_seconds > inquired.fresh_seconds,
    )


def buyer_of(connection: Connection, customer_id: str | None, currency_code: str) -> Buyer:
    """Returns who buys.

    Raises:
        Declined: There is no such customer.
    """
    if customer_id is None:
        return Buyer(currency_code)
    buyer = load_buyer(connection, customer_id, currency_code)
    if buyer is None:
        raise Declined(Code.CUSTOMER_NOT_FOUND, f"There is no customer {customer_id}.")
    return buyer


def find_offers(
    connection: Connection,
    inquired: Inquired,
    buyer: Buyer,
    variant_ids: Sequence[str],
    loaded: Mapping[str, Offer] = _NONE,
) -> dict[str, Offer] | Open:
    """Returns variants as a buyer gets them, with words of the ERP that may be used.

    Args:
        connection: An open transaction.
        inquired: What has been asked so far.
        buyer: Who buys.
        variant_ids: What is looked for.
        loaded: Offers that were read in this transaction already.

    Raises:
        Declined: One of them is not there, or the ERP does not know it.
        Unavailable: The ERP does not answer, and of one nothing younger than a day is known.
    """
    missing = [variant_id for variant_id in variant_ids if variant_id not in loaded]
    offers = {**loaded, **(load_offers(connection, buyer, missing) if missing else {})}
    for variant_id in variant_ids:
        if variant_id not in offers:
            raise Declined(Code.VARIANT_NOT_FOUND, f"There is no variant {variant_id}.")
        check_for_sale(offers[variant_id])
    seconds = inquired.fresh_seconds
    old = [(offer, part) for offer in offers.values() for part in offer.older_than(seconds)]
    return _still_open(inquired, old) or _usable(inquired, offers, old)


def confirmed_offers(
    connection: Connection, inquired: Inquired, buyer: Buyer, variant_ids: Sequence[str]
) -> dict[str, Offer] | Open:
    """Returns the variants that are still there, with words of the ERP asked for just now.

    What it answered in a way that cannot be read counts as not said.

    Raises:
        CommerceError: The ERP does not answer, or refuses to.
    """
    offers = load_offers(connection, buyer, variant_ids)
    known = [offer for offer in offers.values() if offer.external_id is not None]
    needed = [(offer, part) for offer in known for part, _ in offer.words]
    for offer, part in needed:
        error = inquired.outcomes.get(_matter(offer, part))
        if error is not None:
            raise error
    open_ = _still_open(inquired, needed)
    if open_ is not None:
        return open_
    for offer, part in needed:
        if _matter(offer, part) in inquired.unread:
            offers[offer.variant_id] = offers[offer.variant_id].without([part])
    return offers


def _still_open(inquired: Inquired, needed: Sequence[tuple[Offer, Part]]) -> Open | None:
    """Returns what of these parts has to be asked; None when all has been."""
    missing = [
        (offer, part)
        for offer, part in needed
        if part is not Part.PRICE or offer.customer_group is not None
        if _matter(offer, part) not in inquired.outcomes
    ]
    # A price is asked for a group that counts, so the group comes first.
    groups = {part for _, part in missing} & {Part.GROUP}
    missing = [(offer, part) for offer, part in missing if not (groups and part is Part.PRICE)]
    if not missing:
        return None
    words = [offer.word(part) for offer, part in missing]
    return Open(
        _questions(missing), all(word and word.age_seconds <= SHOWN_SECONDS for word in words)
    )


def _usable(
    inquired: Inquired, offers: dict[str, Offer], old: Sequence[tuple[Offer, Part]]
) -> dict[str, Offer]:
    """Returns offers whose old words may be shown; the ERP was asked and did not answer."""
    for offer, part in old:
        error = inquired.outcomes.get(_matter(offer, part))
        word = offer.word(part)
        if error is not None and (word is None or word.age_seconds > SHOWN_SECONDS):
            raise error
    return offers


def _matter(offer: Offer, part: Part) -> Matter:
    if part is Part.GROUP:
        return Matter(part, offer.buyer.company_key or "")
    group = offer.customer_group if part is Part.PRICE else None
    return Matter(part, offer.variant_id, group or EVERYBODY)


def _questions(missing: Sequence[tuple[Offer, Part]]) -> list[Question]:
    """Returns a question a part, about all variants that miss it."""
    of_part: dict[Part, list[Offer]] = defaultdict(list)
    for offer, part in missing:
        of_part[part].append(offer)
    return [_question(part, offers) for part, offers in of_part.items()]


def _question(part: Part, offers: Sequence[Offer]) -> Question:
    buyer, at = offers[0].buyer, offers[0].looked_at
    company = (buyer.company_key or "", buyer.company_name or "")
    if part is Part.GROUP:
        return Question(part, at, company=company)
    variants = tuple(sorted((offer.external_id or "", offer.variant_id) for offer in offers))
    if part is Part.STOCK:
        return Question(part, at, variants)
    if part is Part.RULE:
        return Question(part, at, variants, company)
    group = offers[0].customer_group or EVERYBODY
    return Question(part, at, variants, currency_code=buyer.currency_code, customer_group=group)
