"""Processes that may not stay behind.

Belongs here: finding the processes of a stack or of a database, and ending
them. Does not belong here: starting anything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import psutil

# Every process of a stack inherits this, so that one which has lost its parent is
# still found. It is no setting: it is only read from other processes.
MARK = "COMMERCE_STACK"

_POSTGRES_PATIENCE_SECONDS = 5.0
_KILL_PATIENCE_SECONDS = 10.0
_NO_SIGNAL = 0


def mark_of(home: Path) -> dict[str, str]:
    """Returns the environment that marks a process as one of this home's stack."""
    return {MARK: str(home.resolve())}


def marked(home: Path) -> set[psutil.Process]:
    """Returns the processes with the mark of this home, whoever their parent is."""
    mark = mark_of(home)[MARK]
    others = (each for each in psutil.process_iter() if each.pid != os.getpid())
    return {each for each in others if _environment(each).get(MARK) == mark}


def descendants(spared_pid: int | None = None) -> set[psutil.Process]:
    """Returns our descendants without the zombies, and without the spared one's tree."""
    ours = set(psutil.Process().children(recursive=True))
    # The spared tree is read last: what it has forked meanwhile is in it, not in ours.
    with contextlib.suppress(psutil.NoSuchProcess):
        if spared_pid is not None:
            spared = psutil.Process(spared_pid)
            ours -= {spared, *spared.children(recursive=True)}
    return {each for each in ours if _lives(each)}


def bury_adopted(own_pids: Collection[int | None]) -> None:
    """Collects what orphans that we have adopted leave when they end (Linux).

    Args:
        own_pids: The children that somebody else waits for.
    """
    if sys.platform != "linux":
        return
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, options)) and ended.si_pid not in own_pids:
            os.waitpid(ended.si_pid, 0)


def end_all(find: Callable[[], set[psutil.Process]], patience_seconds: float) -> bool:
    """Ends all that is found, also what they start meanwhile.

    Args:
        find: Looks for them; is asked again until it finds none.
        patience_seconds: How long they have between SIGTERM and SIGKILL.

    Returns:
        Whether none is left.
    """
    _send(find(), signal.SIGTERM)
    if _await_none(find, patience_seconds, _NO_SIGNAL):
        return True
    return _await_none(find, _KILL_PATIENCE_SECONDS, signal.SIGKILL)


def clear_crash(cluster: Path) -> None:
    """Ends what still runs on a PostgreSQL data directory, and removes its stale pid file.

    PostgreSQL takes the file for valid when its pid has gone to any other process
    of the same user, as happens after a reboot. So who calls this must own the
    data directory's lock.
    """
    postmasters, backends = set(), set()
    for each in psutil.process_iter():
        if _is_postmaster(each, cluster):
            postmasters.add(each)
        elif _is_backend(each, cluster):
            backends.add(each)
    # Only the postmaster is asked: backends end with it, also when it has been killed.
    _send(postmasters, signal.SIGINT)
    _, stubborn = psutil.wait_procs(postmasters | backends, timeout=_POSTGRES_PATIENCE_SECONDS)
    _send(stubborn, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=_KILL_PATIENCE_SECONDS)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _await_none(
    find: Callable[[], set[psutil.Process]], patience_seconds: float, ending: int
) -> bool:
    deadline = time.monotonic() + patience_seconds
    while found := find():
        if time.monotonic() > deadline:
            return False
        _send(found, ending)
        time.sleep(0.05)
    return True


def _send(members: Iterable[psutil.Process], ending: int) -> None:
    for each in members:
        with contextlib.suppress(psutil.Error):
            each.send_signal(ending)


def _environment(member: psutil.Process) -> dict[str, str]:
    try:
        return member.environ()
    except (psutil.Error, OSError):
        return {}


def _lives(member: psutil.Process) -> bool:
    try:
        return member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_postmaster(candidate: psutil.Process, cluster: Path) -> bool:
    # Its working directory is not enough: it goes there only after a while.
    try:
        command = candidate.cmdline()
        return candidate.name() == "postgres" and command[1:3] == ["-D", str(cluster)]
    except psutil.Error:
        return False


def _is_backend(candidate: psutil.Process, cluster: Path) -> bool:
    try:
        return candidate.name() == "postgres" and candidate.cwd() == str(cluster)
    except psutil.Error:
        return False
