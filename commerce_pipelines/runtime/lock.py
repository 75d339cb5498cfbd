"""One owner at a time.

Belongs here: the lock file. Does not belong here: what it protects.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

STACK_LOCK = "stack.lock"
"""The lock in a home that the owner of its stack holds."""

_LEAVING = b"leaving"
_MOMENT_SECONDS = 1.0


class OwnerLock:
    """Lets one process own something; the kernel frees it when that process ends.

    Args:
        path: The lock file; it is created, and stays after the release.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, patience_seconds: float = 0.0) -> bool:
        """Takes the lock, or returns False because somebody else keeps it.

        Args:
            patience_seconds: How long to wait for an owner that is leaving. Any other
                is given a moment, because a killed process takes one to disappear.
        """
        begin = time.monotonic()
        while not self._try():
            is_leaving = self._path.read_bytes() == _LEAVING
            patience = max(patience_seconds if is_leaving else 0.0, _MOMENT_SECONDS)
            if time.monotonic() - begin > patience:
                return False
            time.sleep(0.05)
        return True

    def announce_leaving(self) -> None:
        """Lets those who want the lock next wait for it."""
        if self._descriptor is not None:
            os.pwrite(self._descriptor, _LEAVING, 0)

    def release(self) -> None:
        """Gives the lock back; does nothing if it is not ours."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        self._descriptor = descriptor
        return True
