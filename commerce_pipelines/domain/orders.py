"""Orders: what was bought, and how an order is described to and by the ERP.

Belongs here: shapes and the one table of statuses. Does not belong here: carts, and
whether an order may be placed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from commerce_pipelines.domain.catalog import Name


class OrderStatus(StrEnum):
    """How far an order is, in the store's words."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


# The words of the reference contract and of Tryton; others are put before a person.
STATUS_OF: Final = {
    "draft": OrderStatus.PLACED,
    "quotation": OrderStatus.PLACED,
    "confirmed": OrderStatus.CONFIRMED,
    "processing": OrderStatus.PROCESSING,
    "shipped": OrderStatus.SHIPPED,
    "done": OrderStatus.COMPLETED,
    "completed": OrderStatus.COMPLETED,
    "cancelled": OrderStatus.CANCELLED,
}


def _country(code: str) -> str:
    if len(code) != 2 or not code.isascii() or not code.isalpha():
        raise ValueError("is not a country (ISO 3166-1, two letters)")
    return code.upper()


class Address(BaseModel):
    """Where goods or a bill go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_name: Name | None = None
    last_name: Name | None = None
    company: Name | None = None
    address_1: Name
    address_2: Name | None = None
    postal_code: Name
    city: Name
    province: Name | None = None
    country_code: Annotated[str, AfterValidator(_country)] = Field(
        description="ISO 3166-1, two letters."
    )
    phone: Name | None = None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One variant of an order.

    Attributes:
        external_id: The variant in the ERP.
        unit_price: Of one unit, in the currency's main unit.
        total_minor: Of the line, in the currency's minor unit, computed once.
    """

    position: int
    variant_id: str
    external_id: str
    sku: str | None
    title: str
    quantity: int
    unit_price: Decimal
    total_minor: int


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as the ERP has to get it: whole.

    Attributes:
        id: Ours; the ERP's reference.
        placed_at: Aware.
        total_minor: The sum of its lines, in the currency's minor unit.
    """

    id: str
    currency_code: str
    placed_at: datetime
    email: str
    company_name: str | None
    shipping_address: Address
    billing_address: Address
    lines: tuple[OrderLine, ...]
    total_minor: int


@dataclass(frozen=True, slots=True)
class ErpOrderLine:
    """One line of an order as the ERP has it.

    Attributes:
        variant: The ERP's id of the variant.
    """

    variant: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class ErpOrder:
    """An order as the ERP has it.

    Attributes:
        external_id: Its id there.
        number: What people call it there; None while it has none.
        reference: Our order's id; None for an order that did not come from us.
        status: The ERP's word; `STATUS_OF` says what it means.
        total: In the currency's main unit.
        placed_at: Aware.
        changed_at: When it was last changed there, aware.
    """

    external_id: str
    number: str | None
    reference: str | None
    status: str
    currency_code: str
    total: Decimal
    placed_at: datetime
    changed_at: datetime
    lines: tuple[ErpOrderLine, ...]
