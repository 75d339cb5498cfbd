"""When a change gets its moment, and when it is seen.

Belongs here: the ERP's clock, changes that are committed late. Does not belong
here: what changes. A change has the moment at which its transaction began, so one
that is committed late lies before others that were seen earlier.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from commerce_pipelines.sandbox.moments import later_than, moment_text


class Commits:
    """The order of changes.

    Args:
        clock: The time of day.
        waiting: Seconds that only go forward.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        waiting: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._latest = ""
        self._open: list[tuple[float, Callable[[], object]]] = []

    def begin(self, latest: str = "") -> str:
        """Returns the moment of a change: later than every earlier one."""
        self._latest = later_than(max(self._latest, latest), self._clock())
        return self._latest

    def as_of(self) -> str:
        """Returns now, which every committed change lies before."""
        return later_than(self._latest, self._clock()) if self._latest else self.now()

    def now(self) -> str:
        """Returns the time of day."""
        return moment_text(self._clock())

    def commit(self, change: Callable[[], object], after_seconds: float = 0.0) -> None:
        """Makes a change seen, now or later."""
        if after_seconds <= 0:
            change()
        else:
            self._open.append((self._waiting() + after_seconds, change))

    def settle(self) -> None:
        """Commits the changes whose time has come."""
        due = [each for each in self._open if each[0] <= self._waiting()]
        self._open = [each for each in self._open if each not in due]
        for _, change in due:
            change()

    def forget(self) -> None:
        """Gives up what is not committed."""
        self._open.clear()
