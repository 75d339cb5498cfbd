"""What the last reconciliation of each day found.

Belongs here: replacing a day's findings at once, and reading them. Does not belong here:
finding them (`services/order_comparison`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.reconciliation import Discrepancy

_COLUMNS: Final = (
    "kind", "order_id", "external_id", "currency_code", "here", "there", "amount_minor",
)  # fmt: skip


def replace_day(
    connection: Connection,
    day: date,
    run_id: str,
    found: Sequence[Discrepancy],
    repaired_by: Sequence[str | None],
) -> None:
    """Replaces what is known of a day, in one transaction: readers see the old or the new."""
    names: dict[str, Any] = {"day": day.isoformat(), "run": run_id}
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('day ' || :day))"), names)
    connection.execute(text("DELETE FROM discrepancy WHERE day = :day"), names)
    columns = {name: [getattr(each, name) for each in found] for name in _COLUMNS}
    connection.execute(_INSERT, {**names, **columns, "repaired_by": list(repaired_by)})


def load_days(connection: Connection, days: Sequence[date], limit: int) -> list[dict[str, Any]]:
    """Returns what was found on these days, day by day, kind by kind."""
    names = {"days": [day.isoformat() for day in days], "limit": limit}
    return [dict(row) for row in connection.execute(_LOAD, names).mappings()]


def count_by_day(connection: Connection, since: date) -> dict[date, dict[str, int]]:
    """Returns how many discrepancies of each kind the days since then have; none are left out."""
    rows = connection.execute(_COUNTS, {"since": since.isoformat()})
    counts: dict[date, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(date.fromisoformat(row.day), {})[row.kind] = row.discrepancies
    return counts


_INSERT: Final = text("""
    INSERT INTO discrepancy (day, run_id, kind, order_id, external_id, currency_code, here, there,
                             amount_minor, repaired_by)
    SELECT :day, :run, found.* FROM unnest(
        CAST(:kind AS text[]), CAST(:order_id AS text[]), CAST(:external_id AS text[]),
        CAST(:currency_code AS text[]), CAST(:here AS text[]), CAST(:there AS text[]),
        CAST(:amount_minor AS bigint[]), CAST(:repaired_by AS text[])) AS found""")

_LOAD: Final = text("""
    SELECT day, kind, order_id, external_id, currency_code, here, there, amount_minor, repaired_by
    FROM discrepancy WHERE day = ANY (CAST(:days AS text[]))
    ORDER BY day, kind, order_id, external_id LIMIT :limit""")

_COUNTS: Final = text("""
    SELECT day, kind, count(*) AS discrepancies FROM discrepancy WHERE day >= :since
    GROUP BY day, kind ORDER BY day, kind""")
