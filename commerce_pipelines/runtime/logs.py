"""The log files of a stack, `home/logs/<name>.log`.

Belongs here: opening them and reading their end. Does not belong here: what is written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_TAIL_BYTES = 8192


def log_path(home: Path, name: str) -> Path:
    """Returns where the service of that name writes."""
    return home / "logs" / f"{name}.log"


def begin_log(home: Path, name: str) -> None:
    """Begins a new log and keeps the one before as `<name>.log.1`, so that none grows for ever."""
    path = log_path(home, name)
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))


def open_log(home: Path, name: str) -> BinaryIO:
    """Opens a log for appending."""
    path = log_path(home, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")


def last_lines(path: Path, count: int = 15) -> str:
    """Returns the last lines of a log, or an empty text if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _TAIL_BYTES), os.SEEK_SET)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-count:])
