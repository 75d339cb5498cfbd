"""Records in the order of a moment of theirs, and pages of them.

Belongs here: the order, cursors. Does not belong here: the records.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

from commerce_pipelines.sandbox.erp import errors

_AFTER, _POSITION, _BETWEEN = "after-", "at-", "~"


class Page(NamedTuple):
    """Ids of records, and where the list goes on."""

    ids: list[str]
    next_cursor: str | None


class Timeline:
    """Ids by moment, then by id."""

    def __init__(self, places: Iterable[tuple[str, str]] = ()) -> None:
        self._places = sorted(places)
        self._moments = {record_id: moment for moment, record_id in self._places}

    @property
    def latest(self) -> str:
        """Returns the last moment; an empty text without one."""
        return self._places[-1][0] if self._places else ""

    def put(self, record_id: str, moment: str) -> None:
        """Puts a record where its moment belongs."""
        self.drop(record_id)
        insort(self._places, (moment, record_id))
        self._moments[record_id] = moment

    def drop(self, record_id: str) -> None:
        """Takes a record out."""
        moment = self._moments.pop(record_id, None)
        if moment is not None:
            del self._places[bisect_left(self._places, (moment, record_id))]

    def page(
        self, since: str, until: str | None, cursor: str | None, limit: int, *, shifting: bool
    ) -> Page:
        """Returns some ids from a moment on, and before another.

        Args:
            since: The first moment.
            until: The moment that is too late; None for no end.
            cursor: Where an earlier page ended.
            limit: So many at most.
            shifting: Whether its cursor is a position in the list, not a place in time.

        Raises:
            ErpError: The cursor is none.
        """
        first = bisect_left(self._places, (since,))
        end = len(self._places) if until is None else bisect_left(self._places, (until,))
        start = first if cursor is None else max(first, self._start(first, cursor))
        chosen = self._places[start : min(start + limit, end)]
        ids = [record_id for _, record_id in chosen]
        if start + limit >= end:
            return Page(ids, None)
        if shifting:
            return Page(ids, f"{_POSITION}{start + limit - first}")
        return Page(ids, _AFTER + _BETWEEN.join(chosen[-1]))

    def _start(self, first: int, cursor: str) -> int:
        if cursor.startswith(_AFTER) and _BETWEEN in cursor:
            moment, _, record_id = cursor.removeprefix(_AFTER).partition(_BETWEEN)
            return bisect_left(self._places, (moment, record_id + "\x00"))
        digits = cursor.removeprefix(_POSITION)
        if digits == cursor or not digits.isdecimal() or len(digits) > 12:
            raise errors.no_such_cursor()
        return first + int(digits)
