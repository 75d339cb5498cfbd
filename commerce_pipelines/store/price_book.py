"""Replacing what the price book says: prices and purchase rules, many at once.

A row is replaced as a whole, by a word of the ERP that is not older than its own; one
that is the same only gets its times moved. An ERP whose clock is far ahead is believed for an
hour only, or its word could not be replaced once that clock is right. Belongs here: the
statements over `price_book` and `purchase_rule`. Does not belong here: stock, which also
settles reservations (`stock_levels.py`), and what to ask the ERP (`price_questions.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, TextClause, text


class Row(Protocol):
    """What the ERP says, by column."""

    def _asdict(self) -> dict[str, Any]: ...


class PriceRow(NamedTuple):
    """What the ERP says of a variant's price; without tiers it is not for sale."""

    variant_id: str
    currency_code: str
    customer_group: str
    min_quantities: Sequence[int]
    amounts: Sequence[Decimal]
    as_of: datetime
    fetched_at: datetime


class RuleRow(NamedTuple):
    """Whether a company may buy a variant."""

    variant_id: str
    company_key: str
    is_allowed: bool
    as_of: datetime
    fetched_at: datetime


@dataclass(frozen=True)
class Replaced:
    """What became of rows.

    Attributes:
        changed: They say something new.
        unchanged: They say what was known, and when the ERP said so.
        outdated: A newer word of the ERP was known; it stays.
    """

    changed: int = 0
    unchanged: int = 0
    outdated: int = 0


def replace_prices(connection: Connection, rows: Iterable[PriceRow]) -> Replaced:
    """Replaces prices, each variant, currency and customer group at most once."""
    return replaced(connection, _REPLACE_PRICES, rows)


def replace_rules(connection: Connection, rows: Iterable[RuleRow]) -> Replaced:
    """Replaces purchase rules, each variant and company at most once."""
    return replaced(connection, _REPLACE_RULES, rows)


def replaced(connection: Connection, statement: TextClause, rows: Iterable[Row]) -> Replaced:
    """Carries a replacement by a page of rows out, and returns what became of them."""
    names = {"rows": json.dumps([row._asdict() for row in rows], default=str)}
    return Replaced(**connection.execute(statement, names).mappings().one())


def fetched(*columns: str) -> str:
    """Returns the rows of a statement for `replaced`, of these columns and their moments."""
    typed = ", ".join((*columns, "as_of timestamptz", "fetched_at timestamptz"))
    return f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS fetched ({typed})"


# The ERP's moment, unless its clock is out of order.
SAID_AT: Final = "least(fetched.as_of, now() + interval '1 hour') AS said_at"

_PRICES: Final = fetched(
    "variant_id text",
    "currency_code text",
    "customer_group text",
    "min_quantities int[]",
    "amounts numeric(19, 4)[]",
)
_RULES: Final = fetched("variant_id text", "company_key text", "is_allowed boolean")

_REPLACE_PRICES: Final = text(f"""
    WITH fetched AS MATERIALIZED (
        SELECT fetched.*, {SAID_AT},
               (book.min_quantities, book.amounts)
               IS NOT DISTINCT FROM (fetched.min_quantities, fetched.amounts) AS is_same
        FROM {_PRICES}
        LEFT JOIN price_book book USING (variant_id, currency_code, customer_group)),
    saved AS (
        INSERT INTO price_book AS book (variant_id, currency_code, customer_group,
                                        min_quantities, amounts, as_of, fetched_at)
        SELECT variant_id, currency_code, customer_group, min_quantities, amounts, said_at,
               fetched_at
        FROM fetched ORDER BY variant_id, currency_code, customer_group
        ON CONFLICT (variant_id, currency_code, customer_group) DO UPDATE
        SET min_quantities = excluded.min_quantities, amounts = excluded.amounts,
            as_of = excluded.as_of, fetched_at = greatest(book.fetched_at, excluded.fetched_at)
        WHERE book.as_of <= excluded.as_of
        RETURNING variant_id, currency_code, customer_group)
    SELECT count(saved.variant_id) FILTER (WHERE NOT is_same) AS changed,
           count(saved.variant_id) FILTER (WHERE is_same) AS unchanged,
           count(*) - count(saved.variant_id) AS outdated
    FROM fetched LEFT JOIN saved USING (variant_id, currency_code, customer_group)""")

_REPLACE_RULES: Final = text(f"""
    WITH fetched AS MATERIALIZED (
        SELECT fetched.*, {SAID_AT},
               rule.is_allowed IS NOT DISTINCT FROM fetched.is_allowed AS is_same
        FROM {_RULES}
        LEFT JOIN purchase_rule rule USING (variant_id, company_key)),
    saved AS (
        INSERT INTO purchase_rule AS rule (variant_id, company_key, is_allowed, as_of, fetched_at)
        SELECT variant_id, company_key, is_allowed, said_at, fetched_at
        FROM fetched ORDER BY variant_id, company_key
        ON CONFLICT (variant_id, company_key) DO UPDATE
        SET is_allowed = excluded.is_allowed, as_of = excluded.as_of,
            fetched_at = greatest(rule.fetched_at, excluded.fetched_at)
        WHERE rule.as_of <= excluded.as_of
        RETURNING variant_id, company_key)
    SELECT count(saved.variant_id) FILTER (WHERE NOT is_same) AS changed,
           count(saved.variant_id) FILTER (WHERE is_same) AS unchanged,
           count(*) - count(saved.variant_id) AS outdated
    FROM fetched LEFT JOIN saved USING (variant_id, company_key)""")
