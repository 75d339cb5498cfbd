"""One child process of the guardian, over all its lives.

Belongs here: starting it, noticing its death, starting it again after a while.
Does not belong here: what it runs, and ending it with all its descendants.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from commerce_pipelines.errors import CommerceError, ConfigurationError
from commerce_pipelines.runtime.protocol import Event

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
# Who has lived this long was at work, and is not in a circle of dying; it is wanted back.
_LONG_LIFE_SECONDS = 15.0


class Child:
    """Keeps one child running.

    Args:
        name: What it is called in events.
        launch: Starts it; called again for each life.
        restart: Whether it gets another life.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], subprocess.Popen[bytes]],
        *,
        restart: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._name = name
        self._launch = launch
        self._restart = restart
        self._running: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._next_start_at: float | None = None
        self._early_deaths = 0

    @property
    def pid(self) -> int | None:
        """The pid of its current life."""
        return self._running.pid if self._running else None

    def start(self) -> Event:
        """Begins its first life."""
        return self._live("started")

    def check(self) -> Event | None:
        """Returns its death, or its next life when the time has come."""
        if self._running is not None:
            code = self._running.poll()
            return None if code is None else self._note_death(code)
        if self._next_start_at is not None and self._clock() >= self._next_start_at:
            return self._live("restarted")
        return None

    def _live(self, kind: str) -> Event:
        self._started_at = self._clock()
        self._next_start_at = None
        try:
            self._running = self._launch()
        except (CommerceError, OSError) as error:
            self._plan_next_life()
            kind = "refused" if isinstance(error, ConfigurationError) else "failed"
            return Event(kind=kind, service=self._name, detail=str(error))
        return Event(kind=kind, service=self._name, detail=str(self._running.pid))

    def _note_death(self, code: int) -> Event:
        self._running = None
        self._plan_next_life()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Event(kind="died", service=self._name, detail=how)

    def _plan_next_life(self) -> None:
        if not self._restart:
            return
        now = self._clock()
        if now - self._started_at > _LONG_LIFE_SECONDS:
            self._early_deaths = 0
        delay_seconds = min(_FIRST_DELAY_SECONDS * 2**self._early_deaths, _LONGEST_DELAY_SECONDS)
        self._next_start_at = now + delay_seconds
        self._early_deaths += 1
