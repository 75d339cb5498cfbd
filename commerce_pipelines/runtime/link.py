"""The calling process's end of the connection to its guardian.

Belongs here: starting the guardian, sending it orders, hearing its events,
closing the connection. Does not belong here: which orders, and what the events mean.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, cast

from commerce_pipelines.runtime.failures import StackError
from commerce_pipelines.runtime.leftovers import end_all, marked
from commerce_pipelines.runtime.lock import STACK_LOCK, OwnerLock
from commerce_pipelines.runtime.logs import last_lines, log_path, open_log
from commerce_pipelines.runtime.postgres import EmbeddedPostgres
from commerce_pipelines.runtime.protocol import (
    Event,
    LineReader,
    StartPostgres,
    StartService,
    read_event,
)

_LOG = "guardian"
_CLOSE_PATIENCE_SECONDS = 60.0
_SWEEP_PATIENCE_SECONDS = 5.0


class GuardianLink:
    """A running guardian and the pipes to it.

    Args:
        home: The stack's directory, which exists.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        with open_log(home, _LOG) as log:
            self._guardian = subprocess.Popen(
                [sys.executable, "-m", "commerce_pipelines.runtime.guardian", str(home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._orders = cast(IO[bytes], self._guardian.stdin)
        self._output = cast(IO[bytes], self._guardian.stdout)
        self._events = LineReader(self._output.fileno())

    def order(self, order: StartService | StartPostgres) -> None:
        """Sends an order.

        Raises:
            StackError: The guardian is gone.
        """
        try:
            self._orders.write(order.line())
            self._orders.flush()
        except BrokenPipeError as error:
            raise self._loss() from error

    def receive(self, patience_seconds: float) -> list[Event]:
        """Returns what has happened; waits only while nothing has.

        Raises:
            StackError: The guardian is gone.
        """
        if self._events.ended:
            raise self._loss()
        return [read_event(line) for line in self._events.read(patience_seconds)]

    def close(self) -> list[Event]:
        """Ends the stack by closing the connection, and returns its last events.

        Nothing else is needed: the system does the same when we are killed.
        """
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()
        events = self._last_events()
        if not self._events.ended:
            self._guardian.kill()
        self._guardian.wait()
        self._output.close()
        if self._guardian.returncode != 0:
            self._sweep()
        return events

    def _last_events(self) -> list[Event]:
        events: list[Event] = []
        deadline = time.monotonic() + _CLOSE_PATIENCE_SECONDS
        while not self._events.ended and time.monotonic() < deadline:
            events += [read_event(line) for line in self._events.read(0.1)]
        return events

    def _loss(self) -> StackError:
        code = self._guardian.wait()
        lines = last_lines(log_path(self._home, _LOG))
        return StackError(f"The stack in {self._home} has ended, guardian's code {code}. {lines}")

    def _sweep(self) -> None:
        """Ends what a killed guardian has left, unless the home has a new owner already."""
        lock = OwnerLock(self._home / STACK_LOCK)
        if not lock.acquire():
            return
        try:
            lock.announce_leaving()
            end_all(lambda: marked(self._home), _SWEEP_PATIENCE_SECONDS)
            EmbeddedPostgres(self._home).clear()
        finally:
            lock.release()
