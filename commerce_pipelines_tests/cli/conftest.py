"""The command line against a database of the test's own, and somebody who does the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from commerce_pipelines.cli import app
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services import recovery
from commerce_pipelines.services.pim_import import PimImport, deliver

Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Returns the one JSON value on stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Commands:
    """The command line with the settings of a test.

    Attributes:
        environment: Settings by variable.
    """

    environment: Mapping[str, str]

    def __call__(self, *arguments: object) -> Said:
        """Runs a command in this process."""
        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(app, words, env=self.environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    @contextmanager
    def running(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Runs a command as a process of its own, which is gone in the end."""
        command = [sys.executable, "-m", "commerce_pipelines", *map(str, arguments)]
        child = subprocess.Popen(
            command,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield child
        finally:
            child.kill()
            child.communicate()


@pytest.fixture
def settings(postgres_url: str, sandbox: RunningSandbox, tmp_path: Path) -> dict[str, str]:
    """The settings of a stack on the test's database and sandbox."""
    sanity = sandbox.addresses["sanity"]
    return {
        "COMMERCE_HOME": str(tmp_path / "home"),
        "POSTGRES_URL": postgres_url,
        "SANITY_URL": sanity["url"],
        "SANITY_PROJECT_ID": sanity["project_id"],
        "SANITY_DATASET": sanity["dataset"],
        "SANITY_SECRET_TOKEN": sanity["token"],
    }


@pytest.fixture
def run(settings: dict[str, str]) -> Commands:
    """Runs commands."""
    return Commands(settings)


@pytest.fixture
def work(engine: Engine, ledger: Ledger, sanity: Sanity) -> Callable[[], None]:
    """Does all work that waits, once, as a run of Dagster would."""

    def drain() -> None:
        flow = PimImport(ledger, sanity, "run-of-the-test")
        while (page := flow.open_page()) is not None:
            flow.store_page(page)
            flow.publish_page(page.saga_id)

    return drain


@pytest.fixture
def worker(work: Callable[[], None]) -> Iterator[None]:
    """Works in the background while the test lasts."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.05):
            work()

    thread = threading.Thread(target=loop, name="worker")
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def ask(engine: Engine) -> Ask:
    """Asks the test's database."""

    def rows(query: str, **names: Any) -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), names)]

    return rows


@pytest.fixture
def sweep(ledger: Ledger, sanity: Sanity) -> Callable[[], None]:
    """Undoes what is due, as the sensor does."""

    def sweep_once() -> None:
        recovery.sweep(recovery.compensator(ledger, sanity), "sweep-of-the-test")

    return sweep_once


@pytest.fixture
def parked(ledger: Ledger, sanity: Sanity, sandbox: RunningSandbox, sweep: Any, ask: Ask) -> str:
    """A saga whose document cannot be deleted, because a page refers to it."""
    with ledger.engine.begin() as connection:
        deliver(connection, "pim", "w1", [{"title": "Mug", "sku": "MUG"}])
    flow = PimImport(ledger, sanity, "run-1")
    opened = flow.open_page()
    assert opened is not None
    flow.store_page(opened)
    faults = sandbox.addresses["faults"]["url"]
    fault = {"system": "sanity", "kind": "unavailable_after", "route": "mutate", "times": None}
    requests.post(faults, json=fault, timeout=5).raise_for_status()
    with pytest.raises(CommerceError):
        flow.publish_page(opened.saga_id)
    requests.delete(faults, timeout=5)
    ((document,),) = ask("SELECT plan->'documents'->0->>'id' FROM saga_step WHERE seq = 2")
    about = {"_type": "reference", "_ref": document}
    page = {"_id": "page", "_type": "page", "product": about}
    sanity.mutate([{"create": page}], "editors-page")
    sweep()
    assert ask("SELECT status FROM saga") == [("parked",)]
    return opened.saga_id
