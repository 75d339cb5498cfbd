"""Currencies and amounts of money.

Currency codes are ISO 4217, as Babel's copy of the CLDR lists them.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from babel.core import get_global

UNIT_PRICE_DECIMALS = 4
LARGEST_UNIT_PRICE = Decimal("999999999999.9999")

_STEP = Decimal(1).scaleb(-UNIT_PRICE_DECIMALS)
_FLOAT_NOISE = Decimal("1e-9")
_CURRENCIES: frozenset[str] = frozenset(get_global("all_currencies"))


def currency_code(code: Any) -> str:
    """Returns an ISO 4217 code in capitals.

    Raises:
        ValueError: There is no such currency.
    """
    if not isinstance(code, str) or code.upper() not in _CURRENCIES:
        raise ValueError(f"{str(code)[:20]!r} is not a currency (ISO 4217)")
    return code.upper()


def unit_price(amount: Any) -> Decimal:
    """Returns the price of one unit in the currency's main unit, with at most four decimals.

    Takes a number or its text. Digits that only a float's arithmetic produced
    (30.000000000000004) are dropped; real digits behind the fourth are refused.

    Raises:
        ValueError: It is no number, negative, too large or too precise.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise ValueError("is not a number")
    try:
        exact = Decimal(str(amount))
    except ArithmeticError:
        raise ValueError(f"{str(amount)[:40]!r} is not a number") from None
    if not exact.is_finite():
        raise ValueError("is not a number")
    if exact < 0:
        raise ValueError("is negative")
    if exact > LARGEST_UNIT_PRICE:
        raise ValueError("is too large")
    rounded = exact.quantize(_STEP, ROUND_HALF_EVEN)
    if abs(exact - rounded) > _FLOAT_NOISE:
        raise ValueError(f"has more than {UNIT_PRICE_DECIMALS} decimals")
    return rounded
