"""What the brand system's answers say, row by row.

Belongs here: telling a brand from what is none, and a page from what is none. Does
not belong here: asking for it (`brands`), what becomes of a brand (`services`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from commerce_pipelines.connectors.texts import LONGEST_NAME, LONGEST_TEXT, text_fault
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.errors import Refused

_LONGEST_EXCERPT = 200

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is no brand.

    Attributes:
        external_id: Its id there, if it has one: the brand is not gone, only unusable.
        reason: What is wrong with it.
        excerpt: The beginning of the row as JSON, for people.
    """

    external_id: str | None
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of the list as it came.

    Attributes:
        rows: The brands in it and what is none, in their order.
        reaches: The latest moment of a change in it; None if no row has one.
        next_cursor: Where the list goes on; None at its end.
        total: How many brands there are there.
    """

    rows: list[ForeignBrand | RejectedRow]
    reaches: datetime | None
    next_cursor: str | None
    total: int


def read_page(body: Any) -> ListedPage:
    """Reads an answer to a list.

    Raises:
        Refused: It is no page of brands; not for a row that is no brand.
    """
    page = body if isinstance(body, dict) else {}
    rows, cursor, total = page.get("brands"), page.get("next_cursor"), page.get("total")
    if not (isinstance(rows, list) and isinstance(cursor, str | None) and isinstance(total, int)):
        raise Refused("The brand system answered the list of brands with something else.")
    moments = [moment for row in rows if (moment := _moment_of(row)) is not None]
    return ListedPage([read_brand(row) for row in rows], max(moments, default=None), cursor, total)


def read_brand(row: Any) -> ForeignBrand | RejectedRow:
    """Reads one brand; what is none comes back with the reason."""
    if not isinstance(row, dict):
        return RejectedRow(None, "is no object", _excerpt(row))
    changed = _moment_of(row)
    reason = _fault_of(row) or ("updated_at is no moment with a zone" if changed is None else None)
    if reason is not None or changed is None:
        known_id = row.get("id")
        external_id = known_id if text_fault(known_id, LONGEST_NAME) is None else None
        return RejectedRow(external_id, str(reason), _excerpt(row))
    return ForeignBrand(
        external_id=row["id"],
        name=row["name"],
        description=row.get("description"),
        logo_url=row.get("logo_url"),
        updated_at=changed,
    )


def _fault_of(row: Row) -> str | None:
    """Returns what is wrong with the texts of a row."""
    for name, most in (("id", LONGEST_NAME), ("name", LONGEST_NAME)):
        if fault := text_fault(row.get(name), most):
            return f"{name} {fault}"
    for name in ("description", "logo_url"):
        value = row.get(name)
        if value is not None and (fault := text_fault(value, LONGEST_TEXT, blank=True)):
            return f"{name} {fault}"
    return None


def _moment_of(row: Any) -> datetime | None:
    written = row.get("updated_at") if isinstance(row, dict) else None
    try:
        moment = datetime.fromisoformat(written) if isinstance(written, str) else None
        return None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _excerpt(row: Any) -> str:
    # Escaped, so that whatever is in it can be stored and shown.
    text = json.dumps(row)
    return text if len(text) <= _LONGEST_EXCERPT else text[: _LONGEST_EXCERPT - 1] + "…"
