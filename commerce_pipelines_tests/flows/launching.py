"""A Dagster instance with a run server and a code server, and runs to launch on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

import commerce_pipelines.cli
from commerce_pipelines.definitions import defs
from commerce_pipelines.flows.run_request import LOOPBACK
from commerce_pipelines.flows.run_worker import worker_of
from commerce_pipelines.runtime.leftovers import MARK
from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines.runtime.readiness import answers_port
from commerce_pipelines.store.engine import dagster_url

SECRET = "a secret of the tests"
LOCATION = "commerce_pipelines"
SHIPPED_CONFIG = Path(commerce_pipelines.cli.__path__[0]) / "dagster.yaml"

# The import stores its products, and then waits for a Sanity that does not answer.
QUICK_JOB, HANGING_JOB = "saga_recovery", "pim_import"


@dataclass
class Stage:
    """Everything around a launch."""

    instance: dg.DagsterInstance
    context: WorkspaceProcessContext
    port: int

    def new_run(
        self,
        job: str = QUICK_JOB,
        *,
        config: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        definitions: str | None = None,
    ) -> dg.DagsterRun:
        """Creates a run as the webserver does, on request of other definitions than ours."""
        location = self.context.create_request_context().get_code_location(LOCATION)
        remote = location.get_repository("__repository__").get_full_job(job)
        origin = remote.get_python_origin()
        if definitions:
            pointer = ModuleCodePointer(definitions, "defs")
            repository = origin.repository_origin._replace(code_pointer=pointer)
            origin = origin._replace(repository_origin=repository)
        return self.instance.create_run_for_job(
            defs.resolve_job_def(job),
            run_config=config,
            tags=tags,
            remote_job_origin=remote.get_remote_origin(),
            job_code_origin=origin,
        )

    def launch(self, run: dg.DagsterRun) -> None:
        """Launches it as the webserver does."""
        self.instance.launch_run(run.run_id, self.context.create_request_context())

    def reload(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """Returns the run as it is now."""
        found = self.instance.get_run_by_id(run.run_id)
        assert found
        return found

    def end_of(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        """Waits until the run is over."""
        until(lambda: self.reload(run).is_finished)
        return self.reload(run).status

    def count(self, run: dg.DagsterRun, kind: dg.DagsterEventType) -> int:
        """Returns how often something happened in the run."""
        return len(self.instance.all_logs(run.run_id, of_type=kind))

    @contextmanager
    def hanging_run(self) -> Iterator[dg.DagsterRun]:
        """A run that waits for Sanity; its worker is killed afterwards."""
        # No two of them want the same product.
        product = {"title": f"Mug {uuid4()}"}
        pages = {"open_pages": {"config": {"products": [product]}}}
        run = self.new_run(HANGING_JOB, config={"ops": {"import_pages": {"ops": pages}}})
        self.launch(run)
        try:
            # Its second step has stored the products; its third waits.
            until(lambda: self.count(run, dg.DagsterEventType.STEP_START) == 3)
            yield self.reload(run)
        finally:
            self.kill_worker(run)

    def kill_worker(self, run: dg.DagsterRun) -> None:
        """Kills the run's worker, if it lives."""
        worker = worker_of(self.reload(run))
        process = worker.find() if worker else None
        if process:
            process.kill()


@contextmanager
def stage_on(postgres_url: str, home: Path) -> Iterator[Stage]:
    """Sets the stage for this process and for those that it starts."""
    shutil.copy(SHIPPED_CONFIG, home / "dagster.yaml")
    with closing(socket.create_server((LOOPBACK, 0))) as silent_sanity:
        port = free_port(0)
        os.environ.update(
            {
                "DAGSTER_HOME": str(home),
                "DAGSTER_POSTGRES_URL": dagster_url(postgres_url),
                "POSTGRES_URL": postgres_url,
                "RUN_SERVER_PORT": str(port),
                "RUN_SERVER_SECRET": SECRET,
                "SANITY_URL": f"http://{LOOPBACK}:{silent_sanity.getsockname()[1]}",
                "SANITY_PROJECT_ID": "silent",
                "SANITY_SECRET_TOKEN": "token",
                # Longer than the tests: no other run may take over what a hanging one has begun.
                "SAGA_LEASE_SECONDS": "600",
                MARK: str(home),
            }
        )
        target = ModuleTarget("commerce_pipelines.definitions", None, None, LOCATION)
        with (
            dg.DagsterInstance.get() as instance,
            WorkspaceProcessContext(instance, target) as context,
        ):
            yield Stage(instance, context, port)


@contextmanager
def run_server(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run server, ready; killed afterwards."""
    command = [sys.executable, "-m", "commerce_pipelines.flows.run_server"]
    environment = {**os.environ, "RUN_SERVER_PORT": str(port)}
    with log.open("ab") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: server.poll() is not None or answers_port(port))
        assert server.poll() is None, log.read_text()
        yield server
    finally:
        server.kill()
        server.wait()


@dataclass
class LossyServer:
    """Takes one request, passes it on to a run server if it has one, and never answers."""

    passes_on_to: int | None = None
    request: bytes = field(default=b"", init=False)
    port: int = field(default=0, init=False)

    @contextmanager
    def running(self) -> Iterator[LossyServer]:
        """Listens for the one request."""
        with socket.create_server((LOOPBACK, 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._lose, args=(listener,))
            thread.start()
            yield self
            thread.join()

    def _lose(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as requests:
            self.request = requests.readline()
            if self.passes_on_to is not None:
                send(self.passes_on_to, self.request)


def send(port: int, request: bytes) -> bytes:
    """Sends some bytes and returns the answer."""
    with socket.create_connection((LOOPBACK, port), timeout=30) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answers:
            return answers.readline()


def until(condition: Callable[[], object], patience_seconds: float = 60.0) -> None:
    """Waits for a condition; the patience only keeps a failing test from hanging."""
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
