"""Small programs that tests start as real processes, and looking for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from commerce_pipelines.runtime.logs import last_lines, log_path

SLEEP = "import time; print('here', flush=True); time.sleep(600)"

STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"

# A grandchild in a session of its own whose parent ends at once.
LEAVE_ORPHAN = """
import subprocess, sys, time
middle = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
orphan = [sys.executable, "-c", *sys.argv[1:], "orphan"]
subprocess.run([sys.executable, "-c", middle, *orphan])
time.sleep(600)
"""

# What `up` does: PostgreSQL, a service, and one that leaves an orphan; then it waits.
FRONT = """
import sys
from pathlib import Path
from commerce_pipelines.runtime.children import Service, Stack
from commerce_pipelines.runtime.signals import ending_on_signals
from commerce_pipelines_tests.runtime.programs import LEAVE_ORPHAN, is_here, python

home, program, token = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with ending_on_signals(), Stack(home) as stack:
    url = stack.start_postgres()
    stack.start([
        Service("plain", python(program, token), ready=is_here(home, "plain")),
        Service("parent", python(LEAVE_ORPHAN, program, token), ready=is_here(home, "parent")),
    ])
    print(url, flush=True)
    stack.wait()
"""

# A caller that is killed while a fork of it still holds the pipe to the guardian.
FORKING_FRONT = FRONT.replace(
    "    print(url", "    import os, time\n    os.fork() or time.sleep(600)\n    print(url"
)

# A service that has something to write when it is told to end.
WRITE_AT_END = """
import signal, sys, time
import psycopg

def end(number, frame):
    time.sleep(0.5)
    with psycopg.connect(sys.argv[1]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    sys.exit()

signal.signal(signal.SIGTERM, end)
print("here", flush=True)
signal.pause()
"""


def python(program: str, *arguments: str) -> list[str]:
    """Returns the command line of a program."""
    return [sys.executable, "-c", program, *arguments]


def is_here(home: Path, service: str) -> Callable[[], bool]:
    """Returns the question whether `SLEEP`, `STUBBORN` or an orphan of the service works."""
    return lambda: "here" in last_lines(log_path(home, service))


def orphan_of(token: str) -> psutil.Process:
    """Returns the orphan with the token among its arguments."""
    (found,) = [each for each in running(token) if each.cmdline()[-1] == "orphan"]
    return found


def running(token: str) -> list[psutil.Process]:
    """Returns the living processes that have the token among their arguments."""
    return [each for each in psutil.process_iter() if token in _command(each)]


def working_in(directory: Path) -> list[psutil.Process]:
    """Returns the living processes that work in a directory."""
    return [each for each in psutil.process_iter() if _directory(each) == str(directory)]


def until(condition: Callable[[], object], patience_seconds: float = 60.0) -> bool:
    """Waits for a condition; the patience only keeps a failing test from hanging."""
    deadline = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _command(candidate: psutil.Process) -> list[str]:
    try:
        return candidate.cmdline()
    except psutil.Error:
        return []


def _directory(candidate: psutil.Process) -> str:
    try:
        return candidate.cwd()
    except psutil.Error:
        return ""
