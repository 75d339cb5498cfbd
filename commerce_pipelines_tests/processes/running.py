"""A whole stack in processes of its own, and what a test does to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests
from sqlalchemy import Connection, text

from commerce_pipelines.cli.demo_shop import Shop
from commerce_pipelines.cli.stack import Addresses
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.processes.dagster_ui import DagsterUi

T = TypeVar("T")

PATIENCE_SECONDS = 150.0
# What is lost is taken over soon.
# Longer than a busy machine takes from one op's process to the next, shorter than a test waits.
QUICK = {"SAGA_LEASE_SECONDS": "10"}

# Nothing of a stack is found by name: every process of it carries its home.
MARK = "COMMERCE_STACK"


class RunningStack:
    """A stack that `commerce-pipelines up` has started."""

    def __init__(self, home: Path, command: subprocess.Popen[str], shown: dict[str, Any]) -> None:
        self.home = home
        self.command = command
        self.shop = Shop(
            Addresses(
                endpoint=shown["endpoint"]["url"],
                dagster=shown["dagster"]["url"],
                postgres=shown["postgres"]["url"],
                home=home,
                sandbox=shown["sandbox"],
            ),
            lambda: None,
        )
        self.ui = DagsterUi(self.shop.addresses.dagster)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Returns the stack's processes whose command line has all of the words."""
        return [each for each in _of_stack(self.home) if _says(each, words)]

    def kill(self, *words: str) -> None:
        """Sends SIGKILL to the processes with these words, of which there must be one at least."""
        found = self.processes(*words)
        assert found, f"no process of the stack has {words} in its command line"
        for each in found:
            each.kill()

    def kill_everything(self) -> None:
        """Sends SIGKILL to all of it at once, PostgreSQL and the sandbox included."""
        for each in [*_of_stack(self.home), *_postgres_of(self.home)]:
            with _gone_is_fine():
                each.suspend()
        for each in [*_of_stack(self.home), *_postgres_of(self.home)]:
            with _gone_is_fine():
                each.kill()
        self.command.kill()
        self.command.wait()

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Asks the store's database."""
        with self._database() as connection:
            return [tuple(row) for row in connection.execute(text(question))]

    def change(self, statement: str) -> None:
        """Changes the store's database."""
        with self._database() as connection:
            connection.execute(text(statement))

    @contextmanager
    def _database(self) -> Iterator[Connection]:
        engine = connect(self.shop.addresses.postgres)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def unfinished_sagas(self) -> list[tuple[Any, ...]]:
        """Returns the sagas that are neither done nor undone, with their status."""
        return self.ask("SELECT saga_id, status FROM saga WHERE finished_at IS NULL")

    def fault(self, **fault: Any) -> None:
        """Scripts a fault of Sanity's mutations."""
        script = {"system": "sanity", "route": "mutate", **fault}
        requests.post(self._faults, json=script, timeout=10).raise_for_status()

    def effects(self) -> list[dict[str, Any]]:
        """Returns the transactions that Sanity has taken, oldest first."""
        return list(requests.get(f"{self._faults}/effects?system=sanity", timeout=10).json())

    def count_repeated(self) -> int:
        """Returns how often Sanity was sent a transaction whose id it had taken before."""
        asked = requests.get(f"{self._faults}/requests", timeout=10).json()
        mutations = [each for each in asked if "mutate" in each["route"]]
        return sum(each["count"] for each in mutations if each["status"] == 409)

    @property
    def _faults(self) -> str:
        assert self.shop.addresses.sandbox is not None
        return self.shop.addresses.sandbox["faults"]["url"]


@contextmanager
def running(home: Path, **settings: str) -> Iterator[RunningStack]:
    """Starts `up` in a home with some settings, and ends it."""
    free = dict.fromkeys(("ENDPOINT_PORT", "DAGSTER_PORT", "SANDBOX_PORT"), "0")
    environment = {
        **os.environ,
        **free,
        "COMMERCE_HOME": str(home),
        **settings,
    }
    command = subprocess.Popen(
        [sys.executable, "-m", "commerce_pipelines", "up", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert command.stdout is not None
        line = command.stdout.readline()
        assert line, "`up` ended before it was ready"
        yield RunningStack(home, command, json.loads(line))
    finally:
        command.terminate()
        command.wait(60)
        if command.stdout is not None:
            command.stdout.close()


def until(what: str, look: Callable[[], T | None]) -> T:
    """Looks again and again until there is something to see."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return seen


def _of_stack(home: Path) -> list[psutil.Process]:
    found = []
    for each in psutil.process_iter():
        with _gone_is_fine():
            if each.environ().get(MARK) == str(home):
                found.append(each)
    return found


def _postgres_of(home: Path) -> list[psutil.Process]:
    data = str((home / "postgres").resolve())
    found = []
    for each in psutil.process_iter():
        with _gone_is_fine():
            if each.name() == "postgres" and str(each.cwd()).startswith(data):
                found.append(each)
    return found


def _says(process: psutil.Process, words: tuple[str, ...]) -> bool:
    with _gone_is_fine():
        line = " ".join(process.cmdline())
        return all(word in line for word in words)
    return False


def _gone_is_fine() -> suppress:
    return suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)
