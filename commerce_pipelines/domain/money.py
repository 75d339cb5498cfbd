"""Currencies and amounts of money.

Currency codes are ISO 4217, as Babel's copy of the CLDR lists them. The digits of a
currency's minor unit are ISO's, not the CLDR's, which leaves out what nobody pays with.

Rounding is half to even, once a line: so does Tryton, and a reconciliation compares sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from babel.core import get_global

UNIT_PRICE_DECIMALS = 4
LARGEST_UNIT_PRICE = Decimal("999999999999.9999")
# The largest whole number that every reader of JSON takes as it is.
LARGEST_TOTAL_MINOR: Final = 2**53 - 1

_STEP = Decimal(1).scaleb(-UNIT_PRICE_DECIMALS)
_FLOAT_NOISE = Decimal("1e-9")
_CURRENCIES: frozenset[str] = frozenset(get_global("all_currencies"))

# ISO 4217, list one; what it does not name here has two.
_USUAL_DIGITS: Final = 2
_NO_DIGITS: Final = (
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"),
    *("VUV", "XAF", "XOF", "XPF"),
)
_THREE_DIGITS: Final = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_FOUR_DIGITS: Final = ("CLF", "UYW")
_MINOR_DIGITS: Final = {
    **dict.fromkeys(_NO_DIGITS, 0),
    **dict.fromkeys(_THREE_DIGITS, 3),
    **dict.fromkeys(_FOUR_DIGITS, 4),
}
# No product of a price and a quantity is longer.
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


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


def minor_digits(currency_code: str) -> int:
    """Returns how many decimals a currency's minor unit has: EUR 2, JPY 0, KWD 3."""
    return _MINOR_DIGITS.get(currency_code, _USUAL_DIGITS)


def line_total_minor(unit_price: Decimal, quantity: int, currency_code: str) -> int:
    """Returns the price of a whole line in the currency's minor unit, rounded half to even.

    The one place where a unit price and a quantity are multiplied.

    Raises:
        ValueError: It is larger than any reader of JSON could take.
    """
    exact = _EXACT.multiply(unit_price, quantity).scaleb(minor_digits(currency_code), _EXACT)
    return _checked(int(exact.to_integral_value(ROUND_HALF_EVEN, _EXACT)))


def sum_minor(amounts: Iterable[int]) -> int:
    """Returns a sum of amounts of one currency in its minor unit.

    Raises:
        ValueError: It is larger than any reader of JSON could take.
    """
    return _checked(sum(amounts))


def unit_price_text(amount: Decimal, currency_code: str) -> str:
    """Returns a unit price as text: all its digits, and at least those of the minor unit."""
    decimals = max(minor_digits(currency_code), -int(amount.normalize(_EXACT).as_tuple().exponent))
    return f"{amount:.{decimals}f}"


def _checked(total_minor: int) -> int:
    if total_minor > LARGEST_TOTAL_MINOR:
        raise ValueError("is too much to be reckoned with")
    return total_minor
