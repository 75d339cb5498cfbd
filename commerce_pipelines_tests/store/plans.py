"""How PostgreSQL carries statements out: what it looks at, and what of that in vain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, event

Plan = dict[str, Any]


def watch(connection: Connection, words: str = "") -> list[Plan]:
    """Returns a list that gets the plan of each statement with these words, as it is carried out.

    A watched statement is carried out twice; it must not mind.
    """
    plans: list[Plan] = []

    @event.listens_for(connection, "before_cursor_execute")
    def explain(_: Any, cursor: Any, statement: str, values: Any, *others: Any) -> None:
        if words in statement:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, values)
            found = cursor.fetchone()[0]
            plans.append((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])

    return plans


def discarded(plan: Plan) -> int:
    """Counts the rows that a plan looks at in vain."""
    return sum(_removed(part) * part.get("Actual Loops", 1) for part in _parts(plan))


def rows_read(plan: Plan, table: str) -> int:
    """Counts the rows of a table that a plan looks at."""
    scans = [part for part in _parts(plan) if part.get("Relation Name") == table]
    return sum((part["Actual Rows"] + _removed(part)) * part["Actual Loops"] for part in scans)


def _removed(part: Plan) -> int:
    return sum(count for name, count in part.items() if name.startswith("Rows Removed"))


def _parts(plan: Plan) -> Iterator[Plan]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _parts(part)
