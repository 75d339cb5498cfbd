"""The shape of the price book: what the ERP says of variants, as far as it was asked.

A row is replaced as a whole, by a newer word of the ERP only (`as_of`). A row that is
missing says nothing; the ERP is asked. `EVERYBODY` is the empty customer group.
Rows of variants that are gone for good are deleted by the refresh.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from commerce_pipelines.store.tables import metadata

_ZONED = DateTime(timezone=True)


def _of_variant() -> Column[object]:
    # No foreign key: what is reserved must outlive a variant that an undo deletes and restores.
    return Column("variant_id", Text, primary_key=True)


def _moments() -> tuple[Column[object], ...]:
    """Returns up to when the ERP's word counts, by its clock, and when we asked, by ours."""
    return (
        Column("as_of", _ZONED, nullable=False),
        Column("fetched_at", _ZONED, nullable=False, server_default=text("now()")),
    )


# A company is known by its folded name; what the ERP does not know is of no group.
company = Table(
    "company",
    metadata,
    Column("name_key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("customer_group", Text, nullable=False, server_default=""),
    Column("fetched_at", _ZONED, nullable=False, server_default=text("now()")),
)

# No tiers: not for sale.
price_book = Table(
    "price_book",
    metadata,
    _of_variant(),
    Column("currency_code", Text, primary_key=True),
    Column("customer_group", Text, primary_key=True, server_default=""),
    Column("min_quantities", ARRAY(Integer), nullable=False),
    Column("amounts", ARRAY(Numeric(19, 4)), nullable=False),
    *_moments(),
    CheckConstraint("cardinality(min_quantities) = cardinality(amounts)", name="price_book_tiers"),
    CheckConstraint("0 <= ALL (amounts)", name="price_book_not_negative"),
    Index("price_book_age", "fetched_at"),
)

# `reserved` is what orders here hold that the ERP does not count yet.
stock_level = Table(
    "stock_level",
    metadata,
    _of_variant(),
    Column("available", Integer, nullable=False),
    Column("allows_out_of_stock", Boolean, nullable=False),
    Column("reserved", Integer, nullable=False, server_default="0"),
    *_moments(),
    CheckConstraint("reserved >= 0", name="stock_reserved"),
    Index("stock_level_age", "fetched_at"),
)

purchase_rule = Table(
    "purchase_rule",
    metadata,
    _of_variant(),
    Column("company_key", Text, primary_key=True),
    Column("is_allowed", Boolean, nullable=False),
    *_moments(),
    Index("purchase_rule_of_company", "company_key"),
)

# When the ERP was last asked about a variant, and what of its answer could not be read.
asked_variant = Table(
    "asked_variant",
    metadata,
    _of_variant(),
    Column("asked_at", _ZONED),
    Column("faults", ARRAY(Text), nullable=False, server_default="{}"),
    Index("asked_variant_age", text("asked_at NULLS FIRST")),
    Index("asked_variant_faults", "variant_id", postgresql_where=text("cardinality(faults) > 0")),
)
