"""Carts and customers, as they are asked for and as they are shown.

Belongs here: shapes, and how a cart adds up. Does not belong here: what may be put into
one (`pricing`), and orders.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from commerce_pipelines.domain.catalog import Name
from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.money import (
    currency_code,
    line_total_minor,
    minor_digits,
    sum_minor,
    unit_price_text,
)
from commerce_pipelines.domain.orders import Address
from commerce_pipelines.errors import Declined

MOST_LINES: Final = 200
MOST_PIECES: Final = 1_000_000
LONGEST_EMAIL: Final = 254

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text) or len(text) > LONGEST_EMAIL:
        raise ValueError("is not an e-mail address")
    return text


Email = Annotated[Name, AfterValidator(_email)]
Id = Annotated[str, Field(max_length=255, pattern=r"^[\x20-\x7e]+$")]
Currency = Annotated[str, BeforeValidator(currency_code)]
Pieces = Annotated[int, Field(ge=1, le=MOST_PIECES, strict=True)]


class _Wish(BaseModel):
    # What is not known here is refused: a price, above all, never comes from outside.
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewCustomer(_Wish):
    """A customer to be created."""

    email: Email
    company_name: Name | None = Field(
        None, description="What prices and purchase rules ask about; as the ERP calls it."
    )


class Customer(BaseModel):
    """A customer."""

    id: str
    email: str
    company_name: str | None
    created_at: datetime
    updated_at: datetime


class CartChanges(_Wish):
    """What shall be changed of a cart; what is absent stays, null clears."""

    customer_id: Id | None = Field(None, description="Its company decides prices and rules.")
    email: Email | None = None
    shipping_address: Address | None = None
    billing_address: Address | None = None


class NewCart(CartChanges):
    """A cart to be created."""

    currency_code: Currency = Field(description="ISO 4217; it stays.")


class NewLine(_Wish):
    """Pieces of a variant for a cart; those that are in it already stay."""

    variant_id: Id
    quantity: Pieces


class LineChange(_Wish):
    """How many pieces a line shall have."""

    quantity: Pieces


class CartLine(BaseModel):
    """One variant of a cart."""

    model_config = ConfigDict(frozen=True)

    id: str
    variant_id: str
    title: str
    sku: str | None
    quantity: int
    unit_price: str = Field(description="Of one unit, in the currency's main unit.")
    min_quantity: int = Field(description="From so many pieces on, this price counts.")
    total_minor: int = Field(description="Of the line, in the currency's minor unit.")
    priced_at: datetime = Field(description="When the ERP was asked for the price.")


class Cart(BaseModel):
    """A cart."""

    model_config = ConfigDict(frozen=True)

    id: str
    currency_code: str
    minor_digits: int = Field(description="Decimals of the currency's minor unit.")
    customer_id: str | None
    email: str | None
    shipping_address: Address | None
    billing_address: Address | None
    lines: list[CartLine]
    total_minor: int = Field(description="The sum of the lines, in the currency's minor unit.")
    version: int = Field(description="Grows with every change; also the ETag.")
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


def cart_line(currency: str, unit_price: Decimal, **facts: Any) -> CartLine:
    """Returns a line with its total, which is computed here and nowhere else.

    Args:
        currency: Of its cart.
        unit_price: Of one unit.
        facts: All else that a line says.

    Raises:
        Declined: The total is too large.
    """
    total = total_of(unit_price, facts["quantity"], currency)
    return CartLine(unit_price=unit_price_text(unit_price, currency), total_minor=total, **facts)


def total_of(unit_price: Decimal, quantity: int, currency: str) -> int:
    """Returns what so many pieces come to, in the currency's minor unit.

    Raises:
        Declined: It is too much.
    """
    try:
        return line_total_minor(unit_price, quantity, currency)
    except ValueError:
        raise _too_large() from None


def cart(lines: list[CartLine], **facts: Any) -> Cart:
    """Returns a cart that adds up.

    Raises:
        Declined: The total is too large.
    """
    try:
        total = sum_minor(line.total_minor for line in lines)
    except ValueError:
        raise _too_large() from None
    digits = minor_digits(facts["currency_code"])
    return Cart(lines=lines, total_minor=total, minor_digits=digits, **facts)


def _too_large() -> Declined:
    return Declined(Code.TOTAL_TOO_LARGE, "The cart comes to more than can be reckoned with.")
