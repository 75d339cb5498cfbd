"""Another system that is opened when it is first asked something.

Belongs here: putting off the opening. Does not belong here: how a system is opened,
and what is missing when it cannot be: that is said where it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

System = TypeVar("System")


class _OnDemand:
    """Stands for a system, and passes on to it what it is asked."""

    def __init__(self, open_: Callable[[], object]) -> None:
        self._open = open_
        self._opened: object | None = None

    def __getattr__(self, name: str) -> Any:
        if self._opened is None:
            self._opened = self._open()
        return getattr(self._opened, name)


def on_demand(open_: Callable[[], System]) -> System:
    """Returns what opens the system when it is first asked something.

    Args:
        open_: Opens it; what it raises is raised there, each time until it opens.
    """
    return cast("System", _OnDemand(open_))
