"""What a buyer does with a cart before completing it.

Each function is one attempt within a transaction that holds the cart's row: it changes
the cart and returns it, or names what the ERP must be asked first (`enquiries`). Checked
before a line is added or changed, in this order: the variant exists, the company may buy
it, enough is left or the ERP sells beyond that, there is a price in the cart's currency.
A price may be up to a day old while the ERP is away; completing takes no such price.

Does not belong here: completing (`checkout`), and repeated requests (`endpoint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from commerce_pipelines.domain.cart import (
    MOST_LINES,
    MOST_PIECES,
    Cart,
    CartChanges,
    LineChange,
    NewCart,
    NewLine,
)
from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.pricing import Offer, Part, priced
from commerce_pipelines.errors import Declined, NotFound
from commerce_pipelines.services.enquiries import Inquired, Open
from commerce_pipelines.services.pricing import buyer_of, find_offers
from commerce_pipelines.store import carts
from commerce_pipelines.store.carts import LineRow, StoredCart
from commerce_pipelines.store.idempotency import Answer, KeyedRequest


def create_cart(connection: Connection, wanted: NewCart) -> Cart:
    """Creates an empty cart.

    Raises:
        Declined: There is no such customer.
    """
    buyer_of(connection, wanted.customer_id, wanted.currency_code)
    cart_id = carts.create_cart(connection, wanted.currency_code, wanted.model_dump())
    return held(connection, cart_id)[0].shown()


def held(
    connection: Connection,
    cart_id: str,
    request: KeyedRequest | None = None,
    variant_id: str | None = None,
) -> tuple[StoredCart, Answer | None]:
    """Returns a cart that nobody else changes until the transaction ends.

    With it come the offer of what is wanted for it, and the first answer to a request, if it is
    not the first one.

    Raises:
        NotFound: There is no such cart.
        Declined: The request's key came before with another body, or its delivery for another
            cart.
    """
    cart, known = carts.lock_cart(connection, cart_id, request, variant_id)
    if cart is None:
        raise no_cart(cart_id)
    return cart, known


def no_cart(cart_id: str) -> NotFound:
    """Returns the error for a cart that is not there, which is the same as somebody else's."""
    return NotFound(f"There is no cart {cart_id}.")


def add_line(
    connection: Connection,
    inquired: Inquired,
    cart: StoredCart,
    wanted: NewLine,
) -> Cart | Open:
    """Adds pieces of a variant to those that are in the cart already.

    Raises:
        Declined: They may not be in this cart.
        Unavailable: The ERP does not answer.
    """
    check_open(cart)
    known = next((line for line in cart.lines if line.variant_id == wanted.variant_id), None)
    if known is None and len(cart.lines) >= MOST_LINES:
        raise Declined(Code.TOO_MANY_LINES, f"A cart has at most {MOST_LINES} lines.")
    quantity = wanted.quantity + (known.quantity if known else 0)
    if quantity > MOST_PIECES:
        raise Declined(Code.QUANTITY_TOO_LARGE, f"A line has at most {MOST_PIECES} pieces.")
    offers = find_offers(connection, inquired, cart.buyer, [wanted.variant_id], cart.offers)
    if isinstance(offers, Open):
        return offers
    line_id = known.id if known else carts.new_line_id()
    return _with_line(connection, cart, line_of(line_id, offers[wanted.variant_id], quantity))


def change_line(
    connection: Connection,
    inquired: Inquired,
    cart: StoredCart,
    line_id: str,
    wanted: LineChange,
) -> Cart | Open:
    """Gives a line another quantity, with all checks for it.

    Raises:
        NotFound: There is no such line.
        Declined: So many may not be in this cart.
        Unavailable: The ERP does not answer.
    """
    check_open(cart)
    known = _line(cart, line_id)
    offers = find_offers(connection, inquired, cart.buyer, [known.variant_id])
    if isinstance(offers, Open):
        return offers
    line = line_of(line_id, offers[known.variant_id], wanted.quantity)
    return _with_line(connection, cart, line)


def remove_line(connection: Connection, cart: StoredCart, line_id: str) -> Cart:
    """Takes a line out of the cart.

    Raises:
        NotFound: There is no such line.
        Declined: The cart is completed.
    """
    check_open(cart)
    _line(cart, line_id)
    carts.delete_line(connection, cart.id, line_id)
    return cart.changed([line for line in cart.lines if line.id != line_id]).shown()


def change_cart(
    connection: Connection,
    inquired: Inquired,
    cart: StoredCart,
    wanted: CartChanges,
) -> Cart | Open:
    """Changes who buys and where it goes; for another customer every line is priced anew.

    Raises:
        Declined: There is no such customer, or a line is not for them.
        Unavailable: The ERP does not answer.
    """
    check_open(cart)
    facts: dict[str, Any] = wanted.model_dump(exclude_unset=True)
    if facts.get("customer_id", cart.facts["customer_id"]) == cart.facts["customer_id"]:
        return _saved(connection, cart.changed(cart.lines, **facts))
    buyer = buyer_of(connection, facts["customer_id"], cart.buyer.currency_code)
    variants = [line.variant_id for line in cart.lines]
    offers = find_offers(connection, inquired, buyer, variants)
    if isinstance(offers, Open):
        return offers
    changed = cart.changed(repriced(cart.lines, offers), **facts)
    changed.shown()
    carts.save_prices(connection, changed)
    return _saved(connection, changed)


def repriced(lines: Sequence[LineRow], offers: dict[str, Offer]) -> list[LineRow]:
    """Returns lines as they are offered now.

    Raises:
        Declined: One may not be in the cart as it is.
    """
    return [line_of(line.id, offers[line.variant_id], line.quantity) for line in lines]


def line_of(line_id: str, offer: Offer, quantity: int) -> LineRow:
    """Returns the line of an offer that passes all checks.

    Raises:
        Declined: It does not.
    """
    tier = priced(offer, quantity)
    word = offer.word(Part.PRICE)
    assert word is not None  # noqa: S101
    return LineRow(
        line_id,
        offer.variant_id,
        offer.title,
        offer.sku,
        quantity,
        tier.amount,
        tier.min_quantity,
        word.fetched_at,
    )


def check_open(cart: StoredCart) -> None:
    """Checks that a cart can still be changed.

    Raises:
        Declined: It is completed.
    """
    if cart.facts["completed_at"] is not None:
        raise Declined(Code.CART_COMPLETED, f"The cart {cart.id} is completed.")


def _line(cart: StoredCart, line_id: str) -> LineRow:
    line = cart.line(line_id)
    if line is None:
        raise NotFound(f"There is no line {line_id} in the cart.")
    return line


def _with_line(connection: Connection, cart: StoredCart, line: LineRow) -> Cart:
    others = [line if known.id == line.id else known for known in cart.lines]
    is_new = cart.line(line.id) is None
    shown = cart.changed([*others, line] if is_new else others).shown()
    carts.save_line(connection, cart.id, line)
    return shown


def _saved(connection: Connection, changed: StoredCart) -> Cart:
    carts.save_cart(connection, changed)
    return changed.shown()
