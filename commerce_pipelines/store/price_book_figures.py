"""Numbers about the price book: what is in it, how old, how much of what is sold it covers.

Belongs here: reading for people and checks. Does not belong here: what a cart reads
(`offers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Contents:
    """How much is in the price book.

    Attributes:
        oldest_seconds: How long ago the variant was asked about that was asked about longest
            ago; None where none was.
        faulty: Variants of which something could not be read when they were last asked about.
    """

    prices: int
    stock_levels: int
    purchase_rules: int
    variants: int
    oldest_seconds: float | None
    faulty: int


@dataclass(frozen=True)
class Coverage:
    """Of the variants that have an id of the ERP, how many the price book speaks of.

    Attributes:
        priced: Have a price in some currency for somebody.
        not_for_sale: Have none, and the ERP said so.
        stocked: Have a row of stock.
    """

    variants: int
    priced: int
    not_for_sale: int
    stocked: int


def load_contents(connection: Connection) -> Contents:
    """Counts what is there."""
    return Contents(**connection.execute(_CONTENTS).mappings().one())


def load_age(connection: Connection) -> float | None:
    """Returns how long ago the variant was asked about that was longest ago; None without one."""
    seconds: float | None = connection.execute(_AGE).scalar_one()
    return seconds


def load_coverage(connection: Connection) -> Coverage:
    """Counts what is covered."""
    return Coverage(**connection.execute(_COVERAGE).mappings().one())


def count_stale(connection: Connection, seconds: float, most: int) -> int:
    """Returns of how many variants the ERP's word is older, counting no further than `most`."""
    names = {"seconds": seconds, "most": most}
    return int(connection.execute(_COUNT_STALE, names).scalar_one())


def count_negative(connection: Connection) -> int:
    """Returns how many prices are negative."""
    return int(connection.execute(_COUNT_NEGATIVE).scalar_one())


def prices_by_currency(connection: Connection) -> dict[str, int]:
    """Returns how many prices there are in each currency."""
    return {row.currency_code: row.prices for row in connection.execute(_BY_CURRENCY)}


def list_faults(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Returns the variants of which something could not be read, and why."""
    return [dict(row) for row in connection.execute(_FAULTS, {"limit": limit}).mappings()]


def latest_prices(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Returns the prices fetched last, newest first."""
    return [dict(row) for row in connection.execute(_LATEST, {"limit": limit}).mappings()]


_OLDEST: Final = (
    "SELECT CAST(extract(epoch FROM now() - min(asked_at)) AS float) FROM asked_variant"
)

_AGE: Final = text(_OLDEST)

_CONTENTS: Final = text(f"""
    SELECT (SELECT count(*) FROM price_book) AS prices,
           (SELECT count(*) FROM stock_level) AS stock_levels,
           (SELECT count(*) FROM purchase_rule) AS purchase_rules,
           (SELECT count(*) FROM asked_variant) AS variants,
           ({_OLDEST}) AS oldest_seconds,
           (SELECT count(*) FROM asked_variant WHERE cardinality(faults) > 0) AS faulty""")

_COVERAGE: Final = text("""
    SELECT count(*) AS variants, count(*) FILTER (WHERE priced) AS priced,
           count(*) FILTER (WHERE NOT priced) AS not_for_sale, count(level.variant_id) AS stocked
    FROM (SELECT DISTINCT internal_id AS variant_id FROM external_id
          WHERE system = 'erp' AND entity = 'variant') AS sold
    LEFT JOIN (SELECT variant_id, bool_or(amounts <> '{}') AS priced
               FROM price_book GROUP BY variant_id) AS book USING (variant_id)
    LEFT JOIN stock_level level USING (variant_id)""")

# One that was never asked about is new; the next refresh takes it.
_COUNT_STALE: Final = text("""
    SELECT count(*) FROM (
        SELECT FROM asked_variant WHERE asked_at < now() - make_interval(secs => :seconds)
        LIMIT :most) AS stale""")

_COUNT_NEGATIVE: Final = text("SELECT count(*) FROM price_book WHERE 0 > ANY (amounts)")

_BY_CURRENCY: Final = text("""
    SELECT currency_code, count(*) AS prices FROM price_book GROUP BY 1 ORDER BY 1""")

_FAULTS: Final = text("""
    SELECT variant_id, sku, array_to_string(faults, '; ') AS reason
    FROM asked_variant LEFT JOIN variant ON variant.id = variant_id
    WHERE cardinality(faults) > 0 ORDER BY variant_id LIMIT :limit""")

_LATEST: Final = text("""
    SELECT variant_id, sku, currency_code, customer_group, amounts[1] AS amount,
           cardinality(amounts) AS tiers, as_of
    FROM price_book LEFT JOIN variant ON variant.id = variant_id
    ORDER BY fetched_at DESC, variant_id LIMIT :limit""")
