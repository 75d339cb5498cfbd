"""The child processes of a case, forked from a warm process and killed or frozen at a point."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

PATIENCE_SECONDS = 40.0

_forks = multiprocessing.get_context("forkserver")
# There is one process that all are forked from; it has all that they need.
_forks.set_forkserver_preload(
    ["pytest", *(f"{__package__}.{name}" for name in ("scenes", "erp_scenes", "order_scenes"))]
)
# Starting a process looks after all others too, which is not safe in threads.
_children = threading.Lock()


class Errand(Protocol):
    """What a child is sent to do."""

    @property
    def notes(self) -> Path:
        """A file for the names of the points."""


E = TypeVar("E", bound=Errand)


class Child:
    """A process of its own in a case.

    Args:
        run: The body of the process.
        errand: What it does, from now on.
    """

    def __init__(self, run: Callable[[E], None], errand: E) -> None:
        self._notes = errand.notes
        self._process: ForkServerProcess = _forks.Process(target=run, args=(errand,), daemon=True)
        with _children:
            self._process.start()

    def finish(self) -> int:
        """Waits for its end and returns its exit code, -9 after SIGKILL."""
        wait([self._process.sentinel], PATIENCE_SECONDS)
        code = self.exit_code()
        if code is None:
            self._process.kill()
            raise AssertionError(f"a child hangs after {self.points()[-3:]}")
        return code

    def exit_code(self) -> int | None:
        """Returns its exit code; None while it is there."""
        with _children:
            return self._process.exitcode

    def has_ended(self) -> bool:
        """Tells whether it is no longer there."""
        return self.exit_code() is not None

    def kill(self) -> None:
        """Kills it wherever it is, if it is still there."""
        self._process.kill()
        self.finish()

    def freeze(self) -> bool:
        """Waits until it has frozen; False if it ended before."""
        while self.exit_code() is None:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED:
                    return True
            time.sleep(0.005)
        return False

    def thaw(self) -> None:
        """Lets it go on, and waits for its end."""
        psutil.Process(self._process.pid).resume()
        self.finish()

    def points(self) -> list[str]:
        """Returns the points that it has passed or stopped at."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []
