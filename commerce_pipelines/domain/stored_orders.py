"""An order as the store shows it.

Belongs here: the shape that readers of the store get, and how an order stands with the
ERP. Does not belong here: what the ERP gets and gives (`orders.py`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from commerce_pipelines.domain.orders import Address, OrderStatus


class SyncState(StrEnum):
    """How an order stands with the ERP."""

    WAITING = "waiting"
    EXPORTED = "exported"
    FAILED = "failed"
    PARKED = "parked"
    NOT_NEEDED = "not_needed"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderSync(_Stored):
    """How an order stands with the ERP, and why it is not there yet."""

    state: SyncState = Field(
        description="`waiting` until it is there; `failed` after its last try and `parked` wait "
        "for a person; `not_needed` for one that was cancelled before."
    )
    reason: str | None = Field(description="What went wrong last, while it is not there.")


class StoredOrderLine(_Stored):
    """One variant of an order."""

    variant_id: str
    sku: str | None
    title: str
    quantity: int
    unit_price: Decimal = Field(description="Of one unit, in the currency's main unit, as text.")
    total_minor: int = Field(description="Of the line, in the currency's minor unit.")


class StoredOrder(_Stored):
    """An order with everything that belongs to it."""

    id: str
    cart_id: str | None
    customer_id: str | None
    email: str
    company_name: str | None
    currency_code: str = Field(description="ISO 4217.")
    total_minor: int = Field(description="The sum of its lines, in the currency's minor unit.")
    status: OrderStatus
    erp_id: str | None = Field(description="Its id in the ERP.")
    erp_status: str | None = Field(description="The ERP's own word for its status.")
    sync: OrderSync
    shipping_address: Address
    billing_address: Address
    lines: list[StoredOrderLine]
    placed_at: datetime
    updated_at: datetime
