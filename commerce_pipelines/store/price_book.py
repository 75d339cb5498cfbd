"""Replacing what the price book says: prices and purchase rules, many at once.

A row is replaced as a whole, by a word of the ERP that is not older than its own; one
that is the same only gets its times moved. An ERP whose clock is far ahead is believed for an
hour only, or its word could not be replaced once that clock is right. Belongs here: the
statements over `price_book` and `purchase_rule`. Does not belong here: stock, which also
settles reservations (`stock_levels.py`), and what to ask the ERP (`price_questions.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, TextClause, text


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
    stage(connection, "price_book", PriceRow._fields, rows)
    return replaced(connection, _REPLACE_PRICES)


def replace_rules(connection: Connection, rows: Iterable[RuleRow]) -> Replaced:
    """Replaces purchase rules, each variant and company at most once."""
    stage(connection, "purchase_rule", RuleRow._fields, rows)
    return replaced(connection, _REPLACE_RULES)


def stage(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Copies rows into `fetched_<table>`, a temporary table like the given one, emptied before."""
    connection.execute(
        text(f"""
            CREATE TEMP TABLE IF NOT EXISTS fetched_{table} (LIKE {table} INCLUDING DEFAULTS)
            ON COMMIT DELETE ROWS""")
    )
    connection.execute(text(f"DELETE FROM fetched_{table}"))
    driver: Any = connection.connection.driver_connection
    target = f"fetched_{table} ({', '.join(columns)})"
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def replaced(connection: Connection, statement: TextClause) -> Replaced:
    """Carries a replacement out and returns what became of the rows."""
    return Replaced(**connection.execute(statement).mappings().one())


# The ERP's moment, unless its clock is out of order.
SAID_AT: Final = "least(fetched.as_of, now() + interval '1 hour') AS said_at"

_REPLACE_PRICES: Final = text(f"""
    WITH fetched AS MATERIALIZED (
        SELECT fetched.*, {SAID_AT},
               (book.min_quantities, book.amounts)
               IS NOT DISTINCT FROM (fetched.min_quantities, fetched.amounts) AS is_same
        FROM fetched_price_book fetched
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
        FROM fetched_purchase_rule fetched
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
