"""How many cases the tests did that do many: shown after the run, workers' included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

CASES = "cases"

Note = Callable[[int, str], None]


def counted(reports: Iterable[Any]) -> list[tuple[int, str]]:
    """Returns the counts that tests have noted, with what they counted."""
    return sorted(
        (value[0], value[1])
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == CASES
    )
