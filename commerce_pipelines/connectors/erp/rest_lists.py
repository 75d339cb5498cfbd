"""Reading the lists of the reference contract to their end.

Belongs here: pages, where a list goes on, what came already. Does not belong here:
what is listed (`rest_rows`, `rest_orders`), sending (`rest`).

A list goes on by time where it can, not by its cursor: what changes while it is read
moves to its end, and a cursor that is a position would then skip what moved up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.erp.rest_fields import (
    FieldError,
    Row,
    moment_in,
    name_in,
    read_record,
)
from commerce_pipelines.errors import InvalidInput, Unavailable

Record = TypeVar("Record")

# The contract allows a change to be seen so much later than its moment.
OVERLAP: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ListedPage(Generic[Record]):
    """A page of a list as it came.

    Attributes:
        rows: What was read, and what could not be, with id and moment where they have one.
        next_cursor: Where the list goes on; None at its end.
        as_of: All that was committed before is in the list.
    """

    rows: list[tuple[Record | RejectedRecord, str | None, datetime | None]]
    next_cursor: str | None
    as_of: datetime

    @property
    def reaches(self) -> datetime | None:
        """Returns the last moment, if the page is in order but for records that come twice."""
        distinct = dict.fromkeys((external_id, moment) for _, external_id, moment in self.rows)
        moments = [moment for _, moment in distinct if moment is not None]
        if not moments or any(later < earlier for earlier, later in pairwise(moments)):
            return None
        return moments[-1]


@dataclass(frozen=True, slots=True)
class FreshRows(Generic[Record]):
    """What a page brought that had not come before.

    Attributes:
        reached: Everything before was read; None where nothing is known yet.
    """

    records: list[Record]
    rejected: list[RejectedRecord]
    reached: datetime | None


def read_page(
    body: Any, name: str, moment: str, read: Callable[[Row], Record]
) -> ListedPage[Record]:
    """Reads a page.

    Args:
        body: The answer.
        name: What is listed.
        moment: The field that the list is ordered by.
        read: Reads one record.

    Raises:
        FieldError: It is no page; not for a record that is none.
    """
    page = body if isinstance(body, dict) else {}
    rows, cursor = page.get(name), page.get("next_cursor")
    if not (isinstance(rows, list) and isinstance(cursor, str | None)):
        raise FieldError(f"it is no page of {name}")
    listed: list[tuple[Record | RejectedRecord, str | None, datetime | None]] = [
        (read_record(row, read), _known(row, "id", name_in), _known(row, moment, moment_in))
        for row in rows
    ]
    return ListedPage(listed, cursor, moment_in(page, "as_of"))


def behind(since: datetime | None) -> datetime | None:
    """Returns where to read from: what is committed late lies before what was read.

    Raises:
        InvalidInput: The moment has no zone.
    """
    if since is None:
        return None
    if since.tzinfo is None:
        raise InvalidInput("A moment without a zone says nothing about another system's time.")
    return since.astimezone(UTC) - OVERLAP


def read_list(
    fetch: Callable[[datetime | None, str | None], ListedPage[Record]], since: datetime | None
) -> Iterator[FreshRows[Record]]:
    """Reads a list to its end; a record comes again only with another moment.

    Args:
        fetch: Fetches the page from a moment on, at a cursor.
        since: From where on.

    Raises:
        Unavailable: The list goes round in circles.
        CommerceError: As `fetch` does.
    """
    cursor: str | None = None
    known: dict[object, datetime | None] = {}
    while True:
        page = fetch(since, cursor)
        fresh = _fresh(page, since, known)
        last = page.next_cursor is None
        reaches = page.reaches
        on_by_time = reaches is not None and (since is None or reaches > since)
        if cursor is not None and not fresh and not last:
            raise Unavailable("The ERP's list goes round in circles.")
        if on_by_time:
            since = reaches
        yield FreshRows(
            [each for each in fresh if not isinstance(each, RejectedRecord)],
            [each for each in fresh if isinstance(each, RejectedRecord)],
            page.as_of if last else since,
        )
        if last:
            return
        cursor = None if on_by_time else page.next_cursor
        if on_by_time:
            # What was before cannot come again, so the rest is bounded by a page or a moment.
            known = {key: at for key, at in known.items() if at is None or at == since}


def _fresh(
    page: ListedPage[Record], since: datetime | None, known: dict[object, datetime | None]
) -> list[Record | RejectedRecord]:
    """Returns what was not known, and remembers it."""
    fresh = []
    for record, external_id, moment in page.rows:
        key = external_id or record
        too_early = since is not None and moment is not None and moment < since
        if too_early or (key in known and known[key] == moment):
            continue
        known[key] = moment
        fresh.append(record)
    return fresh


def _known(row: Any, field: str, read: Callable[[Row, str], Any]) -> Any:
    try:
        return read(row, field) if isinstance(row, dict) else None
    except FieldError:
        return None
