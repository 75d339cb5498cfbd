"""The shape of what customers do: carts, orders, reservations, answers by idempotency key.

Amounts named `_minor` are whole numbers in the currency's minor unit; a unit price is
in its main unit, with up to four decimals.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.store.tables import metadata

_ZONED = DateTime(timezone=True)
_NOW = text("now()")


def _since() -> tuple[Column[object], ...]:
    return (
        Column("created_at", _ZONED, nullable=False, server_default=_NOW),
        Column("updated_at", _ZONED, nullable=False, server_default=_NOW),
    )


customer = Table(
    "customer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("company_name", Text),
    Column("company_key", Text),
    *_since(),
    Index("customer_of_company", "company_key"),
)

cart = Table(
    "cart",
    metadata,
    Column("id", Text, primary_key=True),
    Column("currency_code", Text, nullable=False),
    Column("customer_id", Text, ForeignKey("customer.id")),
    Column("email", Text),
    Column("shipping_address", JSONB(none_as_null=True)),
    Column("billing_address", JSONB(none_as_null=True)),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("completed_at", _ZONED),
    *_since(),
    Index("cart_open", "id", postgresql_where=text("completed_at IS NULL")),
)

# What the variant was called and cost when it was added or last changed.
cart_line = Table(
    "cart_line",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cart_id", Text, ForeignKey("cart.id", ondelete="CASCADE"), nullable=False),
    Column("variant_id", Text, ForeignKey("variant.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", Numeric(19, 4), nullable=False),
    Column("min_quantity", Integer, nullable=False),
    Column("priced_at", _ZONED, nullable=False),
    *_since(),
    UniqueConstraint("cart_id", "variant_id", name="cart_line_once"),
    CheckConstraint("quantity > 0", name="cart_line_quantity"),
)

# `erp_changed_at` is the newest word of the ERP that was applied.
store_order = Table(
    "store_order",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cart_id", Text, unique=True),
    Column("customer_id", Text, ForeignKey("customer.id")),
    Column("email", Text, nullable=False),
    Column("company_name", Text),
    Column("currency_code", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("shipping_address", JSONB, nullable=False),
    Column("billing_address", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="placed"),
    Column("erp_status", Text),
    Column("erp_changed_at", _ZONED),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("saga_id", Text),
    Column("placed_at", _ZONED, nullable=False, server_default=_NOW),
    Column("updated_at", _ZONED, nullable=False, server_default=_NOW),
    CheckConstraint("total_minor >= 0", name="order_total"),
    CheckConstraint(
        "status IN ('placed', 'confirmed', 'processing', 'shipped', 'completed', 'cancelled')",
        name="order_status",
    ),
    Index("store_order_placed", "placed_at", "id"),
)

# A line says what was bought, whatever becomes of the variant.
order_line = Table(
    "order_line",
    metadata,
    Column("order_id", Text, ForeignKey("store_order.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    Column("variant_id", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("sku", Text),
    Column("title", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", Numeric(19, 4), nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    CheckConstraint("quantity > 0", name="order_line_quantity"),
)

order_revision = Table(
    "order_revision",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("saga_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("before", JSONB(none_as_null=True)),
    Column("at", _ZONED, nullable=False, server_default=_NOW),
    Column("undone_at", _ZONED),
)

# Open until the ERP counts the order itself, the order is cancelled, or it expires.
reservation = Table(
    "reservation",
    metadata,
    Column("order_id", Text, ForeignKey("store_order.id", ondelete="CASCADE"), primary_key=True),
    Column("variant_id", Text, primary_key=True),
    Column("quantity", Integer, nullable=False),
    Column("expires_at", _ZONED, nullable=False),
    Column("confirmed_at", _ZONED),
    Column("released_at", _ZONED),
    CheckConstraint("quantity > 0", name="reservation_quantity"),
    Index("reservation_open", "expires_at", postgresql_where=text("released_at IS NULL")),
    Index("reservation_of_variant", "variant_id", postgresql_where=text("released_at IS NULL")),
)

# The first answer to a key, and to the signed delivery that brought it, for as long as a sender
# may repeat itself.
idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    Column("body", LargeBinary, nullable=False),
    Column("delivery", Text),
    Column("created_at", _ZONED, nullable=False, server_default=_NOW),
    Index("idempotency_key_age", "created_at"),
    Index(
        "idempotency_key_delivery",
        "delivery",
        unique=True,
        postgresql_where=text("delivery IS NOT NULL"),
    ),
)

# What the last reconciliation of a day found.
discrepancy = Table(
    "discrepancy",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("day", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_id", Text),
    Column("external_id", Text),
    Column("currency_code", Text, nullable=False),
    Column("here", Text),
    Column("there", Text),
    Column("amount_minor", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("found_at", _ZONED, nullable=False, server_default=_NOW),
    Column("repaired_by", Text),
    CheckConstraint(
        "kind IN ('missing_in_erp', 'missing_in_store', 'amount_differs', 'status_differs')",
        name="discrepancy_kind",
    ),
    Index("discrepancy_of_day", "day"),
)
