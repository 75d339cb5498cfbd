from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from babel.core import get_global
from babel.numbers import get_currency_precision
from hypothesis import given, settings
from hypothesis import strategies as st

from commerce_pipelines.domain.cart import CartLine, cart, cart_line
from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.money import (
    LARGEST_TOTAL_MINOR,
    line_total_minor,
    minor_digits,
    sum_minor,
    unit_price_text,
)
from commerce_pipelines.domain.price_book import PriceTier, StockLevel
from commerce_pipelines.domain.pricing import Buyer, Offer, Part, Word, priced
from commerce_pipelines.errors import Declined

# Of each property.
EXAMPLES = settings(max_examples=10_000)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CURRENCIES = ("EUR", "JPY", "KWD", "CLF", "USD", "BHD", "KRW", "CHF")
MOST_PARTS = 10**8
MOST_PIECES = 100_000
MOST_LINES = 6
MOST_TIERS = 3

# One draw an example: each further one would take longer than all that is reckoned with it.
draws = st.binary(min_size=40, max_size=40)


class Drawn:
    """What an example is made of."""

    def __init__(self, drawn: bytes) -> None:
        self._rest = int.from_bytes(drawn, "little")

    def number(self, first: int, last: int) -> int:
        self._rest, number = divmod(self._rest, last - first + 1)
        return first + number

    def currency(self) -> str:
        return CURRENCIES[self.number(0, len(CURRENCIES) - 1)]

    def amount(self) -> Decimal:
        return Decimal(self.number(0, MOST_PARTS)).scaleb(-4)

    def quantity(self, most: int = MOST_PIECES) -> int:
        return self.number(1, most)


def exact_minor(amount: Decimal, quantity: int, currency: str) -> Fraction:
    return Fraction(amount) * quantity * Fraction(10) ** minor_digits(currency)


@given(draws)
@EXAMPLES
def test_a_line_is_its_unit_price_times_its_quantity_rounded_once_half_to_even(
    drawn: bytes,
) -> None:
    of = Drawn(drawn)
    amount, minor, some, more = of.amount(), of.number(0, MOST_PARTS), of.quantity(), of.quantity()
    currency = of.currency()

    assert line_total_minor(amount, some, currency) == round(exact_minor(amount, some, currency))

    # Where nothing is rounded, pieces cost the same together and apart.
    whole = Decimal(minor).scaleb(-minor_digits(currency))
    apart = line_total_minor(whole, some, currency) + line_total_minor(whole, more, currency)
    assert line_total_minor(whole, some + more, currency) == apart == minor * (some + more)


@given(draws)
@EXAMPLES
def test_a_cart_comes_to_the_same_in_any_order(drawn: bytes) -> None:
    of = Drawn(drawn)
    currency = of.currency()
    totals = [
        line_total_minor(of.amount(), of.quantity(), currency)
        for _ in range(of.number(0, MOST_LINES))
    ]
    shuffled = sorted(totals, key=lambda _: of.number(0, 99))

    assert sum_minor(totals) == sum_minor(shuffled) == sum(totals)


@given(draws)
@EXAMPLES
def test_a_unit_price_depends_on_the_quantity_by_its_tier_only(drawn: bytes) -> None:
    of = Drawn(drawn)
    others = {of.number(2, 1000): of.amount() for _ in range(of.number(0, MOST_TIERS))}
    prices = {1: of.amount(), **others}
    offer = an_offer(price=list(prices.items()), stock=MOST_PIECES)

    for quantity in (1, 7, of.quantity(1000), of.quantity()):
        reached = max(each for each in prices if each <= quantity)
        assert priced(offer, quantity) == PriceTier(reached, prices[reached])


def test_one_piece_and_seven_cost_the_same_each_outside_tiers() -> None:
    offer = an_offer(price=[(1, "9.99"), (10, "8.50")])

    assert priced(offer, 1) == priced(offer, 7) == PriceTier(1, Decimal("9.99"))
    assert priced(offer, 10) == priced(offer, 99) == PriceTier(10, Decimal("8.50"))


@pytest.mark.parametrize(
    ("amount", "quantity", "currency", "expected"),
    [
        ("0.125", 1, "EUR", 12),
        ("0.135", 1, "EUR", 14),
        ("0.1234", 7, "EUR", 86),
        ("9.99", 3, "EUR", 2997),
        ("100", 3, "JPY", 300),
        ("0.5", 1, "JPY", 0),
        ("1.5", 1, "JPY", 2),
        ("1.2345", 1, "KWD", 1234),
        ("1.234", 3, "KWD", 3702),
        ("0.0001", 1, "CLF", 1),
    ],
)
def test_lines_as_a_person_would_reckon_them(
    amount: str, quantity: int, currency: str, expected: int
) -> None:
    assert line_total_minor(Decimal(amount), quantity, currency) == expected


def test_what_no_reader_of_json_could_take_is_refused() -> None:
    most = Decimal(LARGEST_TOTAL_MINOR).scaleb(-2)
    assert line_total_minor(most, 1, "EUR") == LARGEST_TOTAL_MINOR
    with pytest.raises(ValueError, match="too much"):
        line_total_minor(most + Decimal("0.01"), 1, "EUR")
    line = a_line(most, 1)
    with pytest.raises(Declined) as declined:
        cart([line, line], **CART)
    assert declined.value.code == Code.TOTAL_TOO_LARGE


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("9.9900", "EUR", "9.99"),
        ("10", "EUR", "10.00"),
        ("0.1234", "EUR", "0.1234"),
        ("100.0000", "JPY", "100"),
        ("0.5", "JPY", "0.5"),
        ("1.2", "KWD", "1.200"),
        ("0", "EUR", "0.00"),
    ],
)
def test_a_unit_price_is_shown_with_all_its_digits(
    amount: str, currency: str, expected: str
) -> None:
    assert unit_price_text(Decimal(amount), currency) == expected


def test_minor_units_are_iso_4217s_where_the_cldr_differs() -> None:
    differ = {
        code
        for code in get_global("all_currencies")
        if get_currency_precision(code) != minor_digits(code)
    }
    assert minor_digits("IQD") == 3
    # Dropped coins, and currencies that are gone; ISO 4217 keeps their digits.
    gone = {"ADP", "BYR", "ESP", "ITL", "LUF", "MGF", "MRO", "STD", "TMM", "TRL", "ZMK", "ZWD"}
    unused = {"AFN", "ALL", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SLL", "SOS", "SYP"}
    assert differ == gone | unused | {"YER", "IQD"}


def test_checks_come_in_their_order() -> None:
    allowed = Word(True, NOW, 0)
    forbidden = an_offer(rule=Word(False, NOW, 0), stock=0, price=[])
    out = replace(forbidden, rule=allowed)
    unpriced = replace(out, stock=Word(StockLevel(1, False), NOW, 0))

    assert code_of(forbidden) == Code.COMPANY_MAY_NOT_BUY
    assert code_of(out) == Code.OUT_OF_STOCK
    assert code_of(unpriced) == Code.NO_PRICE


def test_beyond_the_stock_is_sold_where_the_erp_allows_it_or_nobody_counts() -> None:
    beyond = an_offer(stock=0, beyond=True)
    uncounted = replace(an_offer(stock=0), counts_stock=False)

    assert priced(beyond, 5) == priced(uncounted, 5)
    assert code_of(an_offer(stock=4), 5) == Code.OUT_OF_STOCK
    assert code_of(replace(an_offer(), stock=None)) == Code.OUT_OF_STOCK


def test_without_a_company_neither_group_nor_rule_is_asked() -> None:
    nobody = replace(an_offer(), price=None, stock=None)
    company = replace(nobody, buyer=Buyer("EUR", "Acme", "acme"))

    assert nobody.older_than(900) == [Part.STOCK, Part.PRICE]
    assert company.older_than(900) == [Part.GROUP, Part.RULE, Part.STOCK, Part.PRICE]


CART = {
    "id": "cart_1",
    "currency_code": "EUR",
    "customer_id": None,
    "email": None,
    "shipping_address": None,
    "billing_address": None,
    "version": 1,
    "completed_at": None,
    "created_at": NOW,
    "updated_at": NOW,
}


def a_line(amount: Decimal, quantity: int) -> CartLine:
    facts = {"id": "l", "variant_id": "v", "title": "Mug", "sku": None, "min_quantity": 1}
    return cart_line("EUR", amount, quantity=quantity, priced_at=NOW, **facts)


def an_offer(
    price: Sequence[tuple[int, str | Decimal]] | None = None,
    stock: int = 1000,
    *,
    beyond: bool = False,
    rule: Word[bool] | None = None,
) -> Offer:
    asked: Sequence[tuple[int, str | Decimal]] = [(1, "9.99")] if price is None else price
    said = tuple(PriceTier(quantity, Decimal(amount)) for quantity, amount in asked)
    return Offer(
        variant_id="v",
        external_id="E",
        title="Mug",
        sku=None,
        counts_stock=True,
        buyer=Buyer("EUR", "Acme", "acme") if rule else Buyer("EUR"),
        looked_at=NOW,
        price=Word(said, NOW, 0),
        stock=Word(StockLevel(stock, beyond), NOW, 0),
        rule=rule,
    )


def code_of(offer: Offer, quantity: int = 1) -> str:
    with pytest.raises(Declined) as declined:
        priced(offer, quantity)
    return declined.value.code
