"""The shape of the store: products and what belongs to them, messages, documents.

Ids of products and variants are made from the identity that the feed gives
them, so that a store built anew has the same ones. A table whose changes can
be undone carries `version` and the saga that wrote it last.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

_NOW = text("now()")


def _moment(name: str, *, known: bool = True) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not known,
        server_default=_NOW if known else None,
    )


brand = Table(
    "brand",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("logo_url", Text),
    _moment("gone_at", known=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("saga_id", Text),
    _moment("created_at"),
    _moment("updated_at"),
)

# What the brand system had when we last agreed with it, and on which version of ours.
foreign_brand = Table(
    "foreign_brand",
    metadata,
    Column("external_id", Text, primary_key=True),
    Column("brand_id", Text, ForeignKey("brand.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("logo_url", Text),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("brand_version", BigInteger, nullable=False),
    _moment("gone_at", known=False),
    Column("saga_id", Text),
    Index("foreign_brand_of", "brand_id"),
    Index("foreign_brand_changed", "updated_at"),
)

brand_revision = Table(
    "brand_revision",
    metadata,
    Column("saga_id", Text, primary_key=True),
    Column("brand_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("before", JSONB(none_as_null=True)),
    _moment("at"),
    _moment("undone_at", known=False),
)

# How far another system was read, and how many records it had then.
watermark = Table(
    "watermark",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("total", BigInteger, nullable=False),
)

product = Table(
    "product",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("handle", Text(collation="C"), nullable=False, unique=True),
    Column("description", Text),
    Column("status", Text, nullable=False, server_default="published"),
    Column("brand_id", Text, ForeignKey("brand.id")),
    Column("images", JSONB, nullable=False, server_default="[]"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("feed_hash", LargeBinary),
    Column("erp_hash", LargeBinary),
    Column("message_id", BigInteger, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("saga_id", Text),
    _moment("created_at"),
    _moment("updated_at"),
    CheckConstraint(
        "status IN ('draft', 'proposed', 'published', 'rejected', 'archived')",
        name="product_status",
    ),
    Index("product_of_brand", "brand_id", postgresql_where=text("brand_id IS NOT NULL")),
)

product_option = Table(
    "product_option",
    metadata,
    Column("product_id", Text, ForeignKey("product.id", ondelete="CASCADE"), primary_key=True),
    Column("title", Text, primary_key=True),
    Column("position", SmallInteger, nullable=False),
    Column("values", ARRAY(Text), nullable=False),
)

variant = Table(
    "variant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("product_id", Text, ForeignKey("product.id", ondelete="CASCADE"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("sku", Text),
    Column("options", JSONB, nullable=False, server_default="{}"),
    Column("manage_inventory", Boolean, nullable=False, server_default="true"),
    UniqueConstraint("sku", name="variant_sku", deferrable=True, initially="DEFERRED"),
    Index("variant_of_product", "product_id"),
)

price = Table(
    "price",
    metadata,
    Column("variant_id", Text, ForeignKey("variant.id", ondelete="CASCADE"), primary_key=True),
    Column("currency_code", Text, primary_key=True),
    Column("min_quantity", Integer, primary_key=True, autoincrement=False, server_default="1"),
    Column("amount", Numeric(19, 4), nullable=False),
    CheckConstraint("amount >= 0", name="price_not_negative"),
    CheckConstraint("min_quantity > 0", name="price_tier"),
)

product_revision = Table(
    "product_revision",
    metadata,
    Column("product_id", Text, primary_key=True),
    Column("saga_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("before", JSONB),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("undone_at", DateTime(timezone=True)),
    Index("product_revision_of_saga", "saga_id"),
)

external_id = Table(
    "external_id",
    metadata,
    Column("system", Text, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("internal_id", Text, nullable=False),
    Column("saga_id", Text),
    Index("external_id_of", "internal_id", "entity", "system"),
)

product_document = Table(
    "product_document",
    metadata,
    Column("product_id", Text, ForeignKey("product.id", ondelete="CASCADE"), primary_key=True),
    Column("document_id", Text, nullable=False, unique=True),
    Column("content_hash", LargeBinary, nullable=False),
    Column("product_version", BigInteger, nullable=False),
    Column("revision", Text),
    _moment("updated_at"),
)

message = Table(
    "message",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("part", Integer, nullable=False, server_default="0"),
    Column("parts", Integer, nullable=False, server_default="1"),
    Column("topic", Text, nullable=False),
    Column("aggregate", Text),
    Column("item_count", Integer, nullable=False, server_default="1"),
    Column("body", LargeBinary),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="new"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("saga_id", Text),
    Column("run_id", Text),
    _moment("next_try_at"),
    _moment("received_at"),
    _moment("finished_at", known=False),
    Column("last_error", Text),
    # Which permanent error the last try met; none if it met none.
    Column("refusal", Text),
    Column("outcome", JSONB),
    UniqueConstraint("source", "webhook_id", "part", name="message_once"),
    CheckConstraint("state IN ('new', 'claimed', 'done', 'dead')", name="message_state"),
    Index(
        "message_due",
        "topic",
        "id",
        "next_try_at",
        postgresql_where=text("state IN ('new', 'claimed')"),
    ),
    Index(
        "message_in_order",
        "aggregate",
        "id",
        postgresql_where=text("state IN ('new', 'claimed') AND tries > 0"),
    ),
    Index("message_of_saga", "saga_id"),
    Index("message_dead", "id", postgresql_where=text("state = 'dead'")),
    Index(
        "message_refused",
        "id",
        postgresql_where=text("state IN ('new', 'claimed') AND refusal IS NOT NULL"),
    ),
)

message_conflict = Table(
    "message_conflict",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", BigInteger, ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary),
    _moment("received_at"),
    UniqueConstraint("message_id", "body_sha256", name="message_conflict_once"),
)

message_event = Table(
    "message_event",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", BigInteger, ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("what", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("last_error", Text),
    Index("message_event_of_message", "message_id", "id"),
)
