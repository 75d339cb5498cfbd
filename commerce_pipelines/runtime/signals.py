"""Signals that end a command.

Belongs here: turning them into an ordinary end, so that `with` blocks are left
in order. Does not belong here: what is cleaned up then.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Raises `SystemExit` in the block on SIGTERM, SIGHUP and SIGINT.

    A stack ends without this too, but after its caller; with it, before. SIGINT is among
    them because a script's background job starts with it ignored. Works in the main
    thread only.
    """
    before = {number: signal.signal(number, _end) for number in _ENDING}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)
