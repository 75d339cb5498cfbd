"""Orders in the words of the reference contract, there and back.

Belongs here: reading one, writing one down, whether two agree. Does not belong here:
sending (`rest`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from commerce_pipelines.connectors.erp.rest_fields import (
    FieldError,
    Row,
    count_in,
    moment_in,
    money_in,
    name_in,
    name_or_none,
    rows_in,
)
from commerce_pipelines.connectors.erp.rest_requests import moment_text
from commerce_pipelines.domain.money import currency_code, minor_digits
from commerce_pipelines.domain.orders import ErpOrder, ErpOrderLine, OrderLine, PlacedOrder

CANCELLED: Final = "cancelled"
_DRAFT: Final = "draft"


def read_order(row: Row) -> ErpOrder:
    """Reads an order.

    Raises:
        FieldError: It is none.
    """
    return ErpOrder(
        external_id=name_in(row, "id"),
        number=name_or_none(row, "number"),
        reference=name_or_none(row, "reference"),
        status=name_in(row, "status"),
        currency_code=_currency(row),
        total=money_in(row, "total"),
        placed_at=moment_in(row, "placed_at"),
        changed_at=moment_in(row, "changed_at"),
        lines=tuple(_line(each) for each in rows_in(row, "lines")),
    )


def read_confirmed(row: Row) -> ErpOrder:
    """Reads an order that is no draft any more.

    Raises:
        FieldError: It is none.
    """
    order = read_order(row)
    if order.status in {_DRAFT, CANCELLED}:
        raise FieldError(f"the order is {order.status}")
    return order


def read_cancelled(row: Row) -> ErpOrder:
    """Reads an order that is cancelled.

    Raises:
        FieldError: It is none.
    """
    order = read_order(row)
    if order.status != CANCELLED:
        raise FieldError(f"the order is {order.status}")
    return order


def read_under(body: Any, reference: str) -> list[ErpOrder]:
    """Reads the orders under a reference; one that cannot be read makes it no answer.

    Raises:
        FieldError: It is no answer.
    """
    orders = [read_order(row) for row in rows_in(body if isinstance(body, dict) else {}, "orders")]
    return [order for order in orders if order.reference == reference]


def order_rank(order: ErpOrder) -> tuple[bool, int, str]:
    """Returns what the one order that counts has least of: not cancelled, then the lowest id."""
    return order.status == CANCELLED, len(order.external_id), order.external_id


def order_body(order: PlacedOrder) -> dict[str, Any]:
    """Returns an order as it is sent: whole."""
    return {
        "reference": order.id,
        "currency_code": order.currency_code,
        "placed_at": moment_text(order.placed_at),
        "email": order.email,
        "company_name": order.company_name,
        "shipping_address": order.shipping_address.model_dump(),
        "billing_address": order.billing_address.model_dump(),
        "lines": [_line_body(line, order.currency_code) for line in order.lines],
        "total": _main_unit(order.total_minor, order.currency_code),
    }


def agree(order: PlacedOrder, there: ErpOrder) -> bool:
    """Tells whether an order there has the lines and the currency of ours."""
    ours = sorted((line.external_id, line.quantity, line.unit_price) for line in order.lines)
    theirs = sorted((line.variant, line.quantity, line.unit_price) for line in there.lines)
    return there.currency_code == order.currency_code and ours == theirs


def _line(row: Row) -> ErpOrderLine:
    return ErpOrderLine(
        name_in(row, "variant"), count_in(row, "quantity"), money_in(row, "unit_price")
    )


def _line_body(line: OrderLine, currency: str) -> dict[str, Any]:
    return {
        "variant": line.external_id,
        "sku": line.sku,
        "title": line.title,
        "quantity": line.quantity,
        "unit_price": f"{line.unit_price:f}",
        "total": _main_unit(line.total_minor, currency),
    }


def _main_unit(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-minor_digits(currency)):f}"


def _currency(row: Row) -> str:
    try:
        return currency_code(row.get("currency_code"))
    except ValueError as error:
        raise FieldError(f"currency_code {error}") from None
