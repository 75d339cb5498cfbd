"""A product as the store shows it.

Belongs here: the shape that readers of the store get. Does not belong here: the
shape that a feed sends (`catalog.py`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class StoredPrice(_Stored):
    """The price of one unit from a quantity on."""

    amount: Decimal = Field(description="In the currency's main unit, as text: no float is exact.")
    currency_code: str = Field(description="ISO 4217.")
    min_quantity: int


class StoredOption(_Stored):
    """Something to choose, and what there is to choose from."""

    title: str
    values: list[str]


class StoredVariant(_Stored):
    """One thing that can be bought."""

    id: str
    external_id: str | None
    title: str
    sku: str | None
    options: dict[str, str]
    manage_inventory: bool
    prices: list[StoredPrice]


class StoredProduct(_Stored):
    """A product with everything that belongs to it."""

    id: str
    external_id: str | None = Field(description="The PIM's id.")
    title: str
    handle: str
    description: str | None
    status: str
    brand: str | None
    images: list[str]
    options: list[StoredOption]
    variants: list[StoredVariant]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
