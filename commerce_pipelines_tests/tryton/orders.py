"""Orders for Tryton."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from commerce_pipelines.domain.orders import Address, OrderLine, PlacedOrder

ADDRESS = Address(
    first_name="Anna",
    last_name="Lee",
    address_1="Main Street 1",
    address_2="Third floor",
    postal_code="10115",
    city="Berlin",
    province="Berlin",
    country_code="DE",
    phone="+49 30 1234567",
)


def draft(
    variant: str, *, quantity: int = 2, unit_price: Decimal = Decimal("9.99"), **changes: Any
) -> PlacedOrder:
    """Returns an order of one variant, as it is sent to the ERP."""
    total_minor = int(quantity * unit_price * 100)
    line = OrderLine(1, "variant", variant, "SKU", "Mug", quantity, unit_price, total_minor)
    order: dict[str, Any] = {
        "id": f"order_{uuid4().hex}",
        "currency_code": "EUR",
        "placed_at": datetime.now(UTC),
        "email": f"{uuid4().hex}@example.com",
        "company_name": None,
        "shipping_address": ADDRESS,
        "billing_address": ADDRESS,
        "lines": (line,),
        "total_minor": total_minor,
    }
    return PlacedOrder(**(order | changes))
