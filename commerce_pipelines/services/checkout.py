"""Completing a cart: all is checked again against the ERP, then it becomes an order.

    e-mail and addresses are there ──► the ERP is asked everything anew, in its budget
      ──► a price differs: the cart takes the new one, and the buyer is told both
      ──► stock reserved, order, message for the export, cart completed: one commit

Nothing that is old is taken: while the ERP is away no cart is completed, and each stays
as it is. A second request for a completed cart gets the order that it has become. After
a changed price the cart holds the new one, so completing it again is the buyer's consent;
under the same idempotency key the answer stays the changed price.

Pieces are held until the ERP counts the order itself (`store.stock`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from commerce_pipelines.domain.cart import Cart
from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.orders import OrderLine
from commerce_pipelines.domain.pricing import Offer, PriceChange, check_for_sale
from commerce_pipelines.domain.stored_orders import StoredOrder
from commerce_pipelines.errors import Declined
from commerce_pipelines.services.cart import repriced
from commerce_pipelines.services.enquiries import Inquired, Open
from commerce_pipelines.services.order_export import announce_order
from commerce_pipelines.services.pricing import confirmed_offers
from commerce_pipelines.store import carts
from commerce_pipelines.store.carts import LineRow, StoredCart
from commerce_pipelines.store.order_placement import NewOrder, place_order, placed_order_of
from commerce_pipelines.store.orders import show_order
from commerce_pipelines.store.stock import reserve


@dataclass(frozen=True, slots=True)
class Completed:
    """A cart that has become an order.

    Attributes:
        is_new: Whether it has by this request.
    """

    order: StoredOrder
    is_new: bool


@dataclass(frozen=True, slots=True)
class PricesChanged:
    """A cart whose prices are not what the buyer has seen; it holds the new ones now."""

    cart: Cart
    changes: list[PriceChange]


def complete(
    connection: Connection, inquired: Inquired, cart: StoredCart, reservation_minutes: int
) -> Completed | PricesChanged | Open:
    """Makes a cart an order; one attempt within a transaction that holds the cart's row.

    Raises:
        Declined: Something is missing, or a line cannot be sold as it is.
        Unavailable: The ERP does not answer; the cart stays as it is.
    """
    order_id = placed_order_of(connection, cart.id)
    if order_id is not None:
        return Completed(_shown(connection, order_id), is_new=False)
    _check_complete(cart)
    offers = confirmed_offers(connection, inquired, cart.buyer, _variants(cart))
    if isinstance(offers, Open):
        return offers
    for line in cart.lines:
        _check_sold(line, offers)
    lines = repriced(cart.lines, offers)
    changes = _changes(cart.lines, lines)
    if changes:
        return _with_prices(connection, cart, lines, changes)
    return Completed(_placed(connection, cart, lines, offers, reservation_minutes), True)


def _check_complete(cart: StoredCart) -> None:
    given = {"email": cart.contact, **{name: cart.facts[name] for name in _ADDRESSES}}
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise Declined(
            Code.CART_INCOMPLETE, f"The cart has no {', no '.join(missing)}.", missing=missing
        )
    if not cart.lines:
        raise Declined(Code.CART_EMPTY, "There is nothing in the cart.")


def _check_sold(line: LineRow, offers: Mapping[str, Offer]) -> None:
    if line.variant_id not in offers:
        raise Declined(
            Code.NO_LONGER_SOLD,
            f"{line.title} is no longer sold.",
            variant_id=line.variant_id,
            line_id=line.id,
        )
    check_for_sale(offers[line.variant_id])


def _changes(seen: Sequence[LineRow], now: Sequence[LineRow]) -> list[PriceChange]:
    return [
        PriceChange(old.id, old.variant_id, old.unit_price, new.unit_price)
        for old, new in zip(seen, now, strict=True)
        if old.unit_price != new.unit_price
    ]


def _with_prices(
    connection: Connection,
    cart: StoredCart,
    lines: Sequence[LineRow],
    changes: list[PriceChange],
) -> PricesChanged:
    changed = cart.changed(lines)
    shown = changed.shown()
    carts.save_prices(connection, changed)
    carts.save_cart(connection, changed)
    return PricesChanged(shown, changes)


def _placed(
    connection: Connection,
    cart: StoredCart,
    lines: Sequence[LineRow],
    offers: Mapping[str, Offer],
    reservation_minutes: int,
) -> StoredOrder:
    shown = cart.changed(lines).shown()
    held = _reserved(connection, lines, offers)
    totals = {line.id: line.total_minor for line in shown.lines}
    ordered = [
        _order_line(position, line, offers[line.variant_id], totals[line.id])
        for position, line in enumerate(lines)
    ]
    order = NewOrder(cart.id, cart.contact or "", ordered, shown.total_minor, held)
    order_id = place_order(connection, order, reservation_minutes)
    announce_order(connection, order_id)
    return _shown(connection, order_id)


def _reserved(
    connection: Connection, lines: Sequence[LineRow], offers: Mapping[str, Offer]
) -> dict[str, int]:
    counted = [line for line in lines if offers[line.variant_id].counts_stock]
    held = {line.variant_id: line.quantity for line in counted}
    short = reserve(connection, held)
    if short:
        raise _short(lines, short)
    return held


def _order_line(position: int, line: LineRow, offer: Offer, total_minor: int) -> OrderLine:
    return OrderLine(
        position=position,
        variant_id=line.variant_id,
        external_id=offer.external_id or "",
        sku=line.sku,
        title=line.title,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total_minor=total_minor,
    )


def _short(lines: Sequence[LineRow], short: Mapping[str, int]) -> Declined:
    wanted = [line for line in lines if line.variant_id in short]
    told = "; ".join(
        f"{line.quantity} pieces of {line.title} are wanted, {short[line.variant_id]} are left"
        for line in wanted
    )
    first = wanted[0].variant_id
    return Declined(Code.OUT_OF_STOCK, f"{told}.", variant_id=first, available=short[first])


def _shown(connection: Connection, order_id: str) -> StoredOrder:
    order = show_order(connection, order_id)
    assert order is not None  # noqa: S101
    return order


def _variants(cart: StoredCart) -> list[str]:
    return [line.variant_id for line in cart.lines]


_ADDRESSES = ("shipping_address", "billing_address")
