"""The orders that the reference contract takes and gives.

Belongs here: fields, their limits and meaning, as the OpenAPI document describes
them. Does not belong here: what is done with them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from commerce_pipelines.sandbox.erp.shapes import (
    MOST_A_PAGE,
    AsOf,
    CurrencyCode,
    Id,
    Moment,
    Money,
    Taken,
)

MOST_LINES = 1_000
_Text = Annotated[str, Field(max_length=255)]


class Status(StrEnum):
    """How far an order is."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class AddressModel(Taken):
    """Where goods or a bill go."""

    first_name: _Text | None = None
    last_name: _Text | None = None
    company: _Text | None = None
    address_1: _Text
    address_2: _Text | None = None
    postal_code: _Text
    city: _Text
    province: _Text | None = None
    country_code: str = Field(pattern="^[A-Z]{2}$", description="ISO 3166-1.")
    phone: _Text | None = None


class NewLine(Taken):
    """One variant that is ordered."""

    variant: Id
    sku: _Text | None = None
    title: str = Field(max_length=10_000)
    quantity: int = Field(ge=1)
    unit_price: Money
    total: Money = Field(description="Of the line, rounded to the currency's minor unit.")


class NewOrder(Taken):
    """An order as it is to be made."""

    reference: Id = Field(
        description="The caller's own id of it: beside one that is not cancelled, no other is made."
    )
    currency_code: CurrencyCode
    placed_at: AwareDatetime = Field(description="When the customer ordered.")
    email: _Text
    company_name: _Text | None = None
    shipping_address: AddressModel
    billing_address: AddressModel
    lines: list[NewLine] = Field(min_length=1, max_length=MOST_LINES)
    total: Money = Field(description="The sum of the lines' totals.")


class OrderFilter(Taken):
    """Which orders are asked for: by reference, by when they were placed, or by change."""

    limit: int = Field(100, ge=1, le=MOST_A_PAGE, description="Orders a page.")
    cursor: str | None = Field(None, description="The next_cursor of the page before.")
    reference: str | None = Field(
        None, description="Only orders under this reference, cancelled ones too."
    )
    changed_since: AwareDatetime | None = Field(
        None, description="Only what changed at this moment or later."
    )
    placed_from: AwareDatetime | None = Field(
        None, description="Only orders placed at this moment or later."
    )
    placed_until: AwareDatetime | None = Field(
        None, description="Only orders placed before this moment."
    )


class LineModel(BaseModel):
    """One line of an order."""

    variant: Id
    quantity: int
    unit_price: Money


class OrderModel(BaseModel):
    """An order."""

    id: Id = Field(description="Never used again.")
    number: str | None = Field(description="What people call it; null while it has none.")
    reference: str | None = Field(description="The caller's own id; null for one by telephone.")
    status: Status
    currency_code: CurrencyCode
    total: Money
    placed_at: Moment
    changed_at: Moment = Field(description="As a product's.")
    lines: list[LineModel]


class OrderPage(BaseModel):
    """A part of a list of orders."""

    orders: list[OrderModel] = Field(
        description="Ordered by placed_at if asked for by that, else by changed_at."
    )
    next_cursor: str | None = Field(description="Where the list goes on; null at its end.")
    as_of: AsOf
