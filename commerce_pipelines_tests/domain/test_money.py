"""Currencies and amounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commerce_pipelines.domain.money import LARGEST_UNIT_PRICE, currency_code, unit_price

# Of each property; so many at once take a fraction of the time.
EXAMPLES = 10_000
BATCH = 100


@pytest.mark.parametrize("code", ["EUR", "usd", "Jpy", "KWD", "CHF"])
def test_a_currency_is_taken_in_capitals(code: str) -> None:
    assert currency_code(code) == code.upper()


@pytest.mark.parametrize("code", ["", "EURO", "XX", "€", "ABC", " EUR", 978, None, ["EUR"]])
def test_what_is_no_currency_is_refused(code: Any) -> None:
    with pytest.raises(ValueError, match="is not a currency"):
        currency_code(code)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, "0"),
        ("0.00", "0"),
        (12, "12"),
        (9.99, "9.99"),
        ("9.99", "9.99"),
        (Decimal("0.0001"), "0.0001"),
        (0.1 + 0.2, "0.3"),
        (30.000000000000004, "30"),
        ("1e2", "100"),
        (LARGEST_UNIT_PRICE, "999999999999.9999"),
        ("-0", "0"),
    ],
)
def test_an_amount_is_taken_exactly(amount: Any, expected: str) -> None:
    assert unit_price(amount) == Decimal(expected)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (-1, "negative"),
        ("-0.01", "negative"),
        ("0.00001", "decimals"),
        (1.23456, "decimals"),
        (LARGEST_UNIT_PRICE + 1, "too large"),
        ("1e300", "too large"),
        ("nine", "not a number"),
        ("", "not a number"),
        ("NaN", "not a number"),
        (float("nan"), "not a number"),
        (float("inf"), "not a number"),
        ("Infinity", "not a number"),
        (True, "not a number"),
        (None, "not a number"),
        ([1], "not a number"),
        ("1,50", "not a number"),
        ("9.99 EUR", "not a number"),
    ],
)
def test_what_is_no_price_is_refused_with_the_reason(amount: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unit_price(amount)


@given(st.lists(st.integers(0, 10**16 - 1), min_size=BATCH, max_size=BATCH))
@settings(max_examples=EXAMPLES // BATCH)
def test_an_amount_is_the_same_as_number_and_as_text(batch: list[int]) -> None:
    for parts in batch:
        amount = Decimal(parts).scaleb(-4)
        assert unit_price(amount) == unit_price(str(amount)) == amount


@given(st.lists(st.integers(0, 10**9), min_size=BATCH, max_size=BATCH))
@settings(max_examples=EXAMPLES // BATCH)
def test_cents_that_passed_through_a_float_come_back(batch: list[int]) -> None:
    for cents in batch:
        assert unit_price(cents / 100) == Decimal(cents) / 100


@given(st.text(max_size=20) | st.floats() | st.integers())
def test_any_amount_is_taken_or_refused(amount: Any) -> None:
    try:
        taken = unit_price(amount)
    except ValueError:
        return
    assert 0 <= taken <= LARGEST_UNIT_PRICE
