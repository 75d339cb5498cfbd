"""Carts and their lines.

Every change starts by locking the cart's row, so that changes of one cart come one after
the other, each on what the one before left. Belongs here: reading and writing. Does not
belong here: what may be in a cart (`services.cart`), and its order (`order_placement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from secrets import token_hex
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.domain.cart import Cart, cart, cart_line
from commerce_pipelines.domain.pricing import Buyer, Offer
from commerce_pipelines.store.idempotency import Answer, KeyedRequest, answer_in, finding, waiting
from commerce_pipelines.store.offers import offering, offers_in
from commerce_pipelines.store.together import Rows, ask_together, tell


class LineRow(NamedTuple):
    """A line as it is kept."""

    id: str
    variant_id: str
    title: str
    sku: str | None
    quantity: int
    unit_price: Decimal
    min_quantity: int
    priced_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCart:
    """A cart as it is kept, with who buys.

    Attributes:
        facts: Its own columns.
        lines: In the order in which they came.
        looked_at: When it was read, by the store's clock.
        offers: What was asked for with it, by the variant's id, as its buyer gets it.
    """

    facts: Mapping[str, Any]
    buyer: Buyer
    customer_email: str | None
    lines: tuple[LineRow, ...]
    looked_at: datetime
    offers: Mapping[str, Offer] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Returns its id."""
        return str(self.facts["id"])

    @property
    def contact(self) -> str | None:
        """Returns the e-mail address that an order of it gets: its own, else the customer's."""
        email: str | None = self.facts["email"] or self.customer_email
        return email

    def line(self, line_id: str) -> LineRow | None:
        """Returns a line; None if it is not in this cart."""
        return next((line for line in self.lines if line.id == line_id), None)

    def changed(self, lines: Sequence[LineRow], **facts: Any) -> StoredCart:
        """Returns the cart as it is after a change."""
        now = {"version": self.facts["version"] + 1, "updated_at": self.looked_at}
        return replace(self, facts={**self.facts, **now, **facts}, lines=tuple(lines))

    def shown(self) -> Cart:
        """Returns it as it is shown.

        Raises:
            Declined: It comes to more than can be reckoned with.
        """
        currency = self.buyer.currency_code
        return cart([cart_line(currency, **line._asdict()) for line in self.lines], **self.facts)


def create_cart(connection: Connection, currency_code: str, facts: Mapping[str, Any]) -> str:
    """Creates an empty cart and returns its id, which nobody can guess."""
    cart_id = f"cart_{token_hex(16)}"
    names = {"id": cart_id, "currency": currency_code, **_named(facts)}
    connection.execute(_CREATE, names)
    return cart_id


def load_cart(connection: Connection, cart_id: str) -> StoredCart | None:
    """Returns a cart; None if there is none."""
    name = {"id": cart_id}
    found, lines = ask_together(connection, (_LOAD, name), (_LINES, name))
    return _stored(found[0], lines) if found else None


def lock_cart(
    connection: Connection,
    cart_id: str,
    request: KeyedRequest | None = None,
    variant_id: str | None = None,
) -> tuple[StoredCart | None, Answer | None]:
    """Returns a cart as it is once all other changes of it have ended; None if there is none.

    The lines are read by a statement of their own: one that waited would show old ones.

    Args:
        connection: An open transaction.
        cart_id: The cart.
        request: Whose first answer is looked for with it.
        variant_id: What is wanted for it, and asked for with it.

    Raises:
        Declined: The request's key came before with another body, or its delivery for another
            cart.
    """
    name = {"id": cart_id}
    asked = {"turn": waiting(request)} if request and request.delivery else {}
    asked |= {"cart": (_LOCK, name), "lines": (_LINES, name)}
    if variant_id:
        asked["offers"] = offering(cart_id, variant_id)
    if request:
        asked["answers"] = finding(request)
    rows = dict(zip(asked, ask_together(connection, *asked.values()), strict=True))
    if not rows["cart"]:
        return None, None
    cart = _stored(rows["cart"][0], rows["lines"])
    known = answer_in(rows["answers"], request) if request else None
    return replace(cart, offers=offers_in(rows.get("offers", []), cart.buyer)), known


def save_cart(connection: Connection, changed: StoredCart) -> None:
    """Saves a cart's own columns as they are after a change."""
    connection.execute(_SAVE, {"id": changed.id, **_named(changed.facts)})


def save_line(connection: Connection, cart_id: str, line: LineRow) -> None:
    """Saves a line, and that its cart has changed."""
    tell(connection, _SAVE_LINE, {"cart": cart_id, **line._asdict()})


def save_prices(connection: Connection, changed: StoredCart) -> None:
    """Saves the prices of all lines as they are after a change; the cart is saved beside it."""
    lines = changed.lines
    names = {
        "cart": changed.id,
        "ids": [line.id for line in lines],
        "prices": [line.unit_price for line in lines],
        "quantities": [line.min_quantity for line in lines],
        "moments": [line.priced_at for line in lines],
    }
    connection.execute(_SAVE_PRICES, names)


def delete_line(connection: Connection, cart_id: str, line_id: str) -> None:
    """Deletes a line, and notes that its cart has changed."""
    connection.execute(_DELETE_LINE, {"cart": cart_id, "line": line_id})


def new_line_id() -> str:
    """Returns the id of a line that is to be saved first."""
    return f"line_{token_hex(16)}"


def _stored(facts: dict[str, Any], lines: Rows) -> StoredCart:
    buyer = Buyer(facts["currency_code"], facts.pop("company_name"), facts.pop("company_key"))
    email, looked_at = facts.pop("customer_email"), facts.pop("looked_at")
    return StoredCart(facts, buyer, email, tuple(LineRow(**line) for line in lines), looked_at)


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts.get(name) for name in _CHANGEABLE}


_CHANGEABLE: Final = ("customer_id", "email", "shipping_address", "billing_address")
_ADDRESSES: Final = (
    bindparam("shipping_address", type_=JSONB(none_as_null=True)),
    bindparam("billing_address", type_=JSONB(none_as_null=True)),
)

_CREATE: Final = text("""
    INSERT INTO cart (id, currency_code, customer_id, email, shipping_address, billing_address)
    VALUES (:id, :currency, :customer_id, :email, :shipping_address, :billing_address)
    """).bindparams(*_ADDRESSES)

_CART: Final = """
    SELECT cart.id, cart.currency_code, cart.customer_id, cart.email, cart.shipping_address,
           cart.billing_address, cart.version, cart.completed_at, cart.created_at,
           cart.updated_at, customer.email AS customer_email, customer.company_name,
           customer.company_key, now() AS looked_at
    FROM cart LEFT JOIN customer ON customer.id = cart.customer_id
    WHERE cart.id = :id"""

_LOAD: Final = text(_CART)

_LOCK: Final = text(f"{_CART} FOR NO KEY UPDATE OF cart")

_LINES: Final = text("""
    SELECT id, variant_id, title, sku, quantity, unit_price, min_quantity, priced_at
    FROM cart_line WHERE cart_id = :id ORDER BY created_at, id""")

_SAVE: Final = text("""
    UPDATE cart SET customer_id = :customer_id, email = :email,
        shipping_address = :shipping_address, billing_address = :billing_address,
        version = version + 1, updated_at = now()
    WHERE id = :id""").bindparams(*_ADDRESSES)

_TOUCHED: Final = """
    touched AS (UPDATE cart SET version = version + 1, updated_at = now() WHERE id = :cart)"""

_SAVE_LINE: Final = text(f"""
    WITH {_TOUCHED}
    INSERT INTO cart_line (id, cart_id, variant_id, title, sku, quantity, unit_price,
                           min_quantity, priced_at)
    VALUES (:id, :cart, :variant_id, :title, :sku, :quantity, :unit_price, :min_quantity,
            :priced_at)
    ON CONFLICT (id) DO UPDATE SET title = excluded.title, sku = excluded.sku,
        quantity = excluded.quantity, unit_price = excluded.unit_price,
        min_quantity = excluded.min_quantity, priced_at = excluded.priced_at,
        updated_at = now()""")

_SAVE_PRICES: Final = text("""
    UPDATE cart_line SET unit_price = said.price, min_quantity = said.quantity,
        priced_at = said.moment, updated_at = now()
    FROM unnest(CAST(:ids AS text[]), CAST(:prices AS numeric[]), CAST(:quantities AS int[]),
                CAST(:moments AS timestamptz[])) AS said (id, price, quantity, moment)
    WHERE cart_line.id = said.id AND cart_line.cart_id = :cart""")

_DELETE_LINE: Final = text(f"""
    WITH {_TOUCHED}
    DELETE FROM cart_line WHERE cart_id = :cart AND id = :line""")
