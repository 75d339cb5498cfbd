"""Writing an order that a cart has become.

Belongs here: order, lines, what it holds of the stock, and the end of its cart. Does not
belong here: reading orders (`orders`), and whether it may be placed (`services.checkout`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.orders import OrderLine
from commerce_pipelines.store.stock import hold


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be written; addresses and currency are the cart's.

    Attributes:
        total_minor: The sum of its lines.
        held: The pieces that were reserved for it, by variant.
    """

    cart_id: str
    email: str
    lines: Sequence[OrderLine]
    total_minor: int
    held: Mapping[str, int]


def place_order(connection: Connection, order: NewOrder, reservation_minutes: int) -> str:
    """Writes an order and completes its cart; returns the order's id.

    Args:
        connection: The transaction that reserved the pieces.
        order: The order.
        reservation_minutes: After so long the pieces are let go, if nothing is heard of it.
    """
    order_id = f"order_{token_hex(16)}"
    names = {
        "id": order_id,
        "cart": order.cart_id,
        "email": order.email,
        "total": order.total_minor,
    }
    connection.execute(_ORDER, names)
    connection.execute(
        _LINES,
        [
            {name: getattr(line, name) for name in OrderLine.__slots__} | {"order": order_id}
            for line in order.lines
        ],
    )
    hold(connection, order_id, order.held, reservation_minutes)
    return order_id


def placed_order_of(connection: Connection, cart_id: str) -> str | None:
    """Returns the order that a cart has become; None if it has not."""
    found = connection.execute(_OF_CART, {"cart": cart_id}).scalar_one_or_none()
    return None if found is None else str(found)


_ORDER: Final = text("""
    WITH completed AS (
        UPDATE cart SET completed_at = now(), version = version + 1, updated_at = now()
        WHERE id = :cart
        RETURNING id, currency_code, customer_id, shipping_address, billing_address)
    INSERT INTO store_order (id, cart_id, customer_id, email, company_name, currency_code,
                             total_minor, shipping_address, billing_address)
    SELECT :id, completed.id, completed.customer_id, :email, customer.company_name,
           completed.currency_code, :total, completed.shipping_address,
           completed.billing_address
    FROM completed LEFT JOIN customer ON customer.id = completed.customer_id""")

_LINES: Final = text("""
    INSERT INTO order_line (order_id, position, variant_id, external_id, sku, title, quantity,
                            unit_price, total_minor)
    VALUES (:order, :position, :variant_id, :external_id, :sku, :title, :quantity,
            :unit_price, :total_minor)""")

_OF_CART: Final = text("SELECT id FROM store_order WHERE cart_id = :cart")
