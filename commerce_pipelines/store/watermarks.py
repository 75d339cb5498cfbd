"""How far another system was read: moved with the page that it covers, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text

from commerce_pipelines.store.sql_script import inlined, quoted


class Watermark(NamedTuple):
    """How far a system was read.

    Attributes:
        at: Everything that changed there before was read.
        total: How many records it had then, or as its reader says.
    """

    at: datetime
    total: int


def load_watermark(connection: Connection, name: str) -> Watermark | None:
    """Returns how far a system was read; None if it never was."""
    row = connection.execute(_LOAD, {"name": name}).one_or_none()
    return None if row is None else Watermark(row.at, row.total)


def advance(connection: Connection, name: str, at: datetime) -> dict[str, Any]:
    """Notes that a system was read so far; returns what was noted, for `take_back`.

    A time in the future would hide the changes that come before it, so it becomes now.
    """
    found: dict[str, Any] = connection.execute(_ADVANCE, {"name": name, "at": at}).scalar_one()
    return found


def take_back(connection: Connection, name: str, noted: dict[str, Any]) -> None:
    """Has a system read again from where it was, unless it was read further since."""
    connection.execute(_TAKE_BACK, {"name": name, **noted})


def take_back_script(name: str, noted: dict[str, Any]) -> str:
    """Returns SQL that has a system read again as `take_back` does."""
    names = {"name": name, **noted}
    values = {each: "NULL" if it is None else quoted(str(it)) for each, it in names.items()}
    return inlined(_TAKE_BACK, values) + ";\n"


def add_to_total(connection: Connection, name: str, count: int) -> None:
    """Counts on; a system that was never read has no count."""
    connection.execute(
        text("UPDATE watermark SET total = total + :count WHERE name = :name"),
        {"name": name, "count": count},
    )


_LOAD: Final = text("SELECT at, total FROM watermark WHERE name = :name")

_ADVANCE: Final = text("""
    WITH before AS (SELECT at FROM watermark WHERE name = :name),
    moved AS (
        INSERT INTO watermark (name, at, total)
        VALUES (:name, least(CAST(:at AS timestamptz), now()), 0)
        ON CONFLICT (name) DO UPDATE SET at = greatest(watermark.at, excluded.at)
        RETURNING at)
    SELECT jsonb_build_object('before', before.at, 'moved_to', moved.at)
    FROM moved LEFT JOIN before ON true""")

_TAKE_BACK: Final = text("""
    WITH forgotten AS (
        DELETE FROM watermark WHERE name = :name AND at = CAST(:moved_to AS timestamptz)
          AND CAST(:before AS timestamptz) IS NULL)
    UPDATE watermark SET at = CAST(:before AS timestamptz)
    WHERE name = :name AND at = CAST(:moved_to AS timestamptz)
      AND CAST(:before AS timestamptz) IS NOT NULL""")
