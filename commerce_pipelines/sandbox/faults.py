"""Faults that the imitated systems show on request.

Belongs here: what a scripted fault is and which request it meets. Does not
belong here: showing it (`gate.py`, and the systems for faults of their own) and
the HTTP interface (`control.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from itertools import count

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    """The ways in which a system fails."""

    UNAVAILABLE_BEFORE = "unavailable_before"
    """503, not applied."""
    UNAVAILABLE_AFTER = "unavailable_after"
    """Applied, then 503."""
    DELAY = "delay"
    """Waits `seconds`, then applies and answers; also when the caller has gone meanwhile."""
    LATE = "late"
    """Closes the connection without an answer, applies `seconds` later."""
    LOST_ANSWER = "lost_answer"
    """Applies, closes the connection without an answer."""
    RATE_LIMITED = "rate_limited"
    """429 with Retry-After `seconds` (1 if not given), not applied."""
    HTML_ERROR = "html_error"
    """502 with a page of HTML, not applied."""
    HTML_ANSWER = "html_answer"
    """Applied, then 200 with a page of HTML."""
    HALF_ANSWER = "half_answer"
    """Applied, then the first half of the answer as if it were all."""
    REFUSE_DELETE = "refuse_delete"
    """Sanity: 403 for a transaction that deletes."""
    TRANSACTION_CONFLICT = "transaction_conflict"
    """Sanity: 409 transactionConflictError, rolled back."""
    QUERY_LAG = "query_lag"
    """Sanity: queries see the documents as they were; refreshed every `seconds`, if given."""
    REPEATED_ROWS = "repeated_rows"
    """Brands: a page of the list ends with its first brand again."""
    SHIFTING_ROWS = "shifting_rows"
    """ERP: a list goes on at a position, while its first product moves to its end."""
    NULL_PRICES = "null_prices"
    """ERP: no variant has a price."""


ANYWHERE = frozenset(FaultKind) - {
    FaultKind.REFUSE_DELETE,
    FaultKind.TRANSACTION_CONFLICT,
    FaultKind.QUERY_LAG,
    FaultKind.REPEATED_ROWS,
    FaultKind.SHIFTING_ROWS,
    FaultKind.NULL_PRICES,
}
"""The kinds that every system can show, because they need not know what it does."""


class FaultRequest(BaseModel):
    """A fault as it is asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    system: str | None = Field(None, description="Only requests to this system, such as `sanity`.")
    method: str | None = Field(None, description="Only requests with this method.")
    route: str | None = Field(None, description="Only paths that contain this text.")
    times: int | None = Field(1, ge=1, description="How often it shows; null until cleared.")
    after: int = Field(0, ge=0, description="How many matching requests it lets pass first.")
    seconds: float | None = Field(None, ge=0, description="Duration, where the kind has one.")


class Fault(FaultRequest):
    """A fault that is in force or used up."""

    id: int
    seen: int = Field(0, description="Matching requests so far, those let pass included.")
    shown: int = Field(0, description="How often it has shown.")

    def matches(self, system: str, method: str, path: str) -> bool:
        """Tells whether a request is one that it is about."""
        return (
            self.system in (None, system)
            and (self.method or method).upper() == method
            and (self.route or "") in path
        )

    def strike(self) -> bool:
        """Counts a matching request and tells whether the fault shows on it."""
        if self.times is not None and self.shown >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.shown += 1
        return True


class Faults:
    """The script: faults in the order they were asked for; one at most meets a request."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = count(1)
        self._listeners: list[Callable[[Fault], None]] = []

    def on_add(self, listener: Callable[[Fault], None]) -> None:
        """Calls this with every fault that is added."""
        self._listeners.append(listener)

    def add(self, request: FaultRequest) -> Fault:
        """Puts a fault into force."""
        fault = Fault(id=next(self._ids), **request.model_dump())
        self._faults.append(fault)
        for listener in self._listeners:
            listener(fault)
        return fault

    def listed(self) -> list[Fault]:
        """Returns all faults, used up ones too."""
        return list(self._faults)

    def clear(self, fault_id: int | None = None) -> int:
        """Ends one fault or all; returns how many there were."""
        kept = [fault for fault in self._faults if fault_id not in (None, fault.id)]
        ended = len(self._faults) - len(kept)
        self._faults = kept
        return ended

    def take(
        self, kinds: frozenset[FaultKind], system: str, method: str, path: str
    ) -> Fault | None:
        """Returns the first fault of these kinds that shows on a request, counting it."""
        for fault in self._faults:
            if fault.kind in kinds and fault.matches(system, method, path) and fault.strike():
                return fault
        return None
