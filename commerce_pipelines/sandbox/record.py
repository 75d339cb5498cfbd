"""What the imitated systems were asked and what came of it, for tests to look at.

Belongs here: a bounded record. Does not belong here: the systems' state.
"""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

KEPT_EFFECTS = 10_000


class Record:
    """Effects, newest last and at most `KEPT_EFFECTS`, and requests counted by route."""

    def __init__(self) -> None:
        self._effects: deque[dict[str, Any]] = deque(maxlen=KEPT_EFFECTS)
        self._requests: Counter[tuple[str, str, int]] = Counter()

    def effect(self, system: str, kind: str, documents: int, **details: object) -> None:
        """Notes that a request changed something.

        Args:
            system: Where.
            kind: What was done, in the system's words.
            documents: How many records it changed.
            **details: More to tell them apart by, such as a transaction id.
        """
        at = datetime.now(UTC).isoformat()
        entry = {"system": system, "kind": kind, "documents": documents, "at": at, **details}
        self._effects.append(entry)

    def request(self, method: str, route: str, status: int) -> None:
        """Counts a request; status 0 is one that got no answer.

        A late one counts twice: without an answer, and with the status it had when applied.
        """
        self._requests[method, route, status] += 1

    def effects(self, system: str | None = None) -> list[dict[str, Any]]:
        """Returns the effects, of one system if named."""
        # Deliveries are noted from other threads, hence the copy.
        return [effect for effect in list(self._effects) if system in (None, effect["system"])]

    def requests(self) -> list[dict[str, Any]]:
        """Returns how many requests each route answered with each status."""
        return [
            {"method": method, "route": route, "status": status, "count": number}
            for (method, route, status), number in sorted(self._requests.items())
        ]

    def clear(self) -> None:
        """Forgets all of it."""
        self._effects.clear()
        self._requests.clear()
