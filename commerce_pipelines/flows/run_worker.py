"""Who executes a run: decided once, kept in the run's tags.

Belongs here: the decision, and how a worker is found again from another
process. Does not belong here: asking for a worker (`launcher`), being one
(`run_server`).

A run may be asked for twice, when an answer was lost or came too late. So each
side claims the run before it acts, and the loser of a claim does nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import dagster as dg
import psutil
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

TAG = ".dagster/commerce_worker"

_STARTABLE = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
# The kernel rounds the moment of the boot to seconds.
_TOLERANCE_SECONDS = 2.0


class RunWorker(BaseModel):
    """An operating system's process, told apart from a later one with the same pid.

    Attributes:
        pid: Its number.
        boot_id: The boot it lives in; empty where the system does not name them.
        started_seconds: When it started, since the boot: no setting of a clock changes that.
        pid_namespace: Where its number counts; containers have one each. Empty if not known.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    boot_id: str
    started_seconds: float
    pid_namespace: str = ""

    @classmethod
    def current(cls) -> Self:
        """Returns the process that asks."""
        here = psutil.Process()
        return cls(
            pid=here.pid,
            boot_id=_boot_id(),
            started_seconds=_started_seconds(here),
            pid_namespace=_pid_namespace(),
        )

    def find(self) -> psutil.Process | None:
        """Returns the process, or None when it has ended."""
        try:
            found = psutil.Process(self.pid)
            drift_seconds = abs(_started_seconds(found) - self.started_seconds)
            is_zombie = found.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        is_same = self.boot_id == _boot_id() and drift_seconds < _TOLERANCE_SECONDS
        return found if is_same and not is_zombie else None

    def has_ended(self) -> bool:
        """Tells whether it is sure that the process is no more: only where it would be seen."""
        would_be_seen = self.pid_namespace == _pid_namespace() != "" and self.boot_id == _boot_id()
        return would_be_seen and self.find() is None

    def interrupt(self) -> bool:
        """Sends the process a SIGINT; returns False when it has ended."""
        found = self.find()
        if found is None:
            return False
        try:
            found.send_signal(signal.SIGINT)
        except psutil.NoSuchProcess:
            return False
        return True


class _Claim(BaseModel):
    # Retries take over the tags of the run before them, its claim as well.
    run_id: str
    worker: RunWorker | None


def claim(
    instance: dg.DagsterInstance, run_id: str, worker: RunWorker | None
) -> dg.DagsterRun | None:
    """Decides who executes a run, unless that is decided.

    Args:
        instance: Keeps the run.
        run_id: The run.
        worker: Its worker; None leaves the run to Dagster's code server.

    Returns:
        The run, or None: it was claimed before, is not to be started any more, or
        somebody else is claiming it right now.
    """
    with _deciding(instance, run_id) as is_alone:
        run = instance.get_run_by_id(run_id) if is_alone else None
        if run is None or run.status not in _STARTABLE or _claim_of(run):
            return None
        made = _Claim(run_id=run_id, worker=worker)
        instance.add_run_tags(run_id, {TAG: made.model_dump_json()})
        return run


def worker_of(run: dg.DagsterRun) -> RunWorker | None:
    """Returns the worker that has claimed the run; None for the code server's runs."""
    made = _claim_of(run)
    return made.worker if made else None


def _claim_of(run: dg.DagsterRun) -> _Claim | None:
    tag = run.tags.get(TAG)
    made = _Claim.model_validate_json(tag) if tag else None
    return made if made and made.run_id == run.run_id else None


@contextmanager
def _deciding(instance: dg.DagsterInstance, run_id: str) -> Iterator[bool]:
    """Tells whether nobody else decides about the run; nobody waits for a frozen one."""
    storage = instance.run_storage
    if not isinstance(storage, SqlRunStorage):
        raise TypeError(f"Runs must be kept in PostgreSQL, not in {type(storage).__name__}.")
    key = {"run_id": run_id}
    with storage.connect() as connection:
        lock = text("SELECT pg_try_advisory_lock(hashtextextended(:run_id, 0))")
        is_alone = bool(connection.execute(lock, key).scalar_one())
        try:
            yield is_alone
        finally:
            if is_alone:
                unlock = text("SELECT pg_advisory_unlock(hashtextextended(:run_id, 0))")
                connection.execute(unlock, key)


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def _pid_namespace() -> str:
    return str(_PID_NAMESPACE.readlink()) if _PID_NAMESPACE.is_symlink() else ""


def _started_seconds(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()
