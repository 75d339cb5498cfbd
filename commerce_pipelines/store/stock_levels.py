"""Replacing what the store knows of stock, and letting go of what the ERP counts itself by now.

Orders of our own hold pieces (`stock_level.reserved`) until the ERP counts them: an
order that was confirmed there before the ERP gave its word on the stock is in that
word, so its reservation is released with the row. Does not belong here: reserving,
and reservations that expire.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from commerce_pipelines.store.price_book import SAID_AT, Replaced, fetched, replaced


class StockRow(NamedTuple):
    """How much of a variant can be sold, as the ERP says."""

    variant_id: str
    available: int
    allows_out_of_stock: bool
    as_of: datetime
    fetched_at: datetime


def replace_stock(connection: Connection, rows: Iterable[StockRow]) -> Replaced:
    """Replaces stock, each variant at most once, and releases what the ERP counts by now."""
    rows = list(rows)
    connection.execute(_KEEP_OTHERS_OUT, {"variants": [row.variant_id for row in rows]})
    return replaced(connection, _REPLACE, rows)


# In the order in which everybody takes them. Between release and row nobody may come.
_KEEP_OTHERS_OUT: Final = text("""
    SELECT FROM stock_level WHERE variant_id = ANY (CAST(:variants AS text[]))
    ORDER BY variant_id FOR UPDATE""")

_STOCK: Final = fetched("variant_id text", "available int", "allows_out_of_stock boolean")

# The ERP's clock says what its word counts, ours when we asked: both after the confirmation,
# so that neither clock being wrong frees a piece too early.
_REPLACE: Final = text(f"""
    WITH fetched AS MATERIALIZED (
        SELECT fetched.*, {SAID_AT},
               (level.available, level.allows_out_of_stock)
               IS NOT DISTINCT FROM (fetched.available, fetched.allows_out_of_stock) AS is_same,
               level.as_of AS known_as_of
        FROM {_STOCK} LEFT JOIN stock_level level USING (variant_id)),
    released AS (
        UPDATE reservation SET released_at = now() FROM fetched
        WHERE reservation.variant_id = fetched.variant_id AND reservation.released_at IS NULL
          AND reservation.confirmed_at < least(fetched.as_of, fetched.fetched_at)
          AND known_as_of <= said_at
        RETURNING reservation.variant_id, reservation.quantity),
    freed AS (
        SELECT variant_id, sum(quantity) AS quantity FROM released GROUP BY variant_id),
    saved AS (
        INSERT INTO stock_level AS level (variant_id, available, allows_out_of_stock, as_of,
                                          fetched_at)
        SELECT variant_id, available, allows_out_of_stock, said_at, fetched_at
        FROM fetched ORDER BY variant_id
        ON CONFLICT (variant_id) DO UPDATE
        SET available = excluded.available, allows_out_of_stock = excluded.allows_out_of_stock,
            as_of = excluded.as_of, fetched_at = greatest(level.fetched_at, excluded.fetched_at),
            reserved = greatest(0, level.reserved - coalesce(
                (SELECT quantity FROM freed WHERE freed.variant_id = level.variant_id), 0))
        WHERE level.as_of <= excluded.as_of
        RETURNING variant_id)
    SELECT count(saved.variant_id) FILTER (WHERE NOT is_same) AS changed,
           count(saved.variant_id) FILTER (WHERE is_same) AS unchanged,
           count(*) - count(saved.variant_id) AS outdated
    FROM fetched LEFT JOIN saved USING (variant_id)""")
