"""The warm process: it has everything imported, and forks a worker for each run.

    launcher ──run id──▶ run server ──fork──▶ worker: claims the run, answers, executes it

Belongs here: taking requests, and what a worker does. Does not belong here:
who asks (`launcher`), who may execute a run (`run_worker`).

It has one thread and no open connection, or a fork would not be safe. A worker
outlives it: when it ends and is started again, runs under way go on.
"""

from __future__ import annotations

import contextlib
import gc
import hmac
import importlib
import os
import socketserver
import sys
import traceback
from typing import cast

import dagster as dg
import setproctitle
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import EngineEventData
from dagster._core.origin import JobPythonOrigin
from dagster._grpc.impl import core_execute_run
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster._utils.interrupts import capture_interrupts
from pydantic import ValidationError

from commerce_pipelines.flows.run_request import (
    DEFINITIONS,
    LONGEST_LINE_BYTES,
    LOOPBACK,
    RunAnswer,
    RunRequest,
)
from commerce_pipelines.flows.run_worker import RunWorker, claim
from commerce_pipelines.settings import Settings

# What Dagster itself imports in the course of a run.
_NEEDED_LATER = (
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.instance.runs.run_domain",
    "dagster._core.secrets",
    "dagster._core.storage.noop_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster_postgres",
    "psycopg2.extras",
    "upath.implementations.local",
)


class RunServer(socketserver.ForkingTCPServer):
    """Forks a child for each connection, so that no slow or broken one delays another.

    Args:
        port: The port on loopback.
        secret: What a request must carry.
    """

    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, port: int, secret: str) -> None:
        self.secret = secret
        super().__init__((LOOPBACK, port), _Worker)


class _Worker(socketserver.StreamRequestHandler):
    """A child: reads its request, claims the run, answers, executes."""

    timeout = 5.0  # seconds

    def handle(self) -> None:
        server = cast(RunServer, self.server)
        # The next server needs the port while this run goes on.
        server.socket.close()
        run_id = self._read_run_id(server.secret)
        if run_id is None:
            self._answer(RunAnswer(refused="The request is not valid."))
            return
        os.setsid()
        setproctitle.setproctitle(f"commerce-pipelines run {run_id}")
        with capture_interrupts(), dg.DagsterInstance.get() as instance:
            self._work(instance, run_id)
        sys.stdout.flush()

    def _work(self, instance: dg.DagsterInstance, run_id: str) -> None:
        # Dagster connects anew for each event, 40 times in a short run. A connection is kept for
        # a second instead, which is short enough to survive a restart of PostgreSQL.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=1, max_overflow=5)
        worker = RunWorker.current()
        run = claim(instance, run_id, worker)
        if run is None:
            self._answer(RunAnswer(refused=f"Run {run_id} is not there to be started."))
            return
        self._answer(RunAnswer(worker=worker))
        execute(instance, run)

    def _read_run_id(self, secret: str) -> str | None:
        line = self.rfile.readline(LONGEST_LINE_BYTES)
        try:
            request = RunRequest.model_validate_json(line)
        except ValidationError:
            return None
        is_known = hmac.compare_digest(request.secret.encode(), secret.encode())
        return request.run_id if line.endswith(b"\n") and is_known else None

    def _answer(self, answer: RunAnswer) -> None:
        # The run goes on without somebody who has stopped waiting.
        with contextlib.suppress(OSError):
            self.wfile.write(answer.model_dump_json().encode() + b"\n")
        self.finish()
        self.connection.close()


def execute(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Executes a run as the code server's own worker does, with the same events."""
    pid = os.getpid()
    job = recon_job_from_origin(cast(JobPythonOrigin, run.job_code_origin))
    instance.report_engine_event(
        f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid)
    )
    # Failures are in the run's log: core_execute_run reports before it raises.
    with contextlib.suppress(Exception, KeyboardInterrupt, DagsterExecutionInterruptedError):
        for _ in core_execute_run(job, run, instance, inject_env_vars=False):
            pass
    instance.report_engine_event(f"Process for run exited (pid: {pid}).", run)


def main() -> None:
    """Serves until it is ended."""
    settings = Settings.load()
    if settings.run_server_port is None or settings.run_server_secret is None:
        sys.exit("Set RUN_SERVER_PORT and RUN_SERVER_SECRET.")
    # A worker's title must leave its environment alone: the stack finds its members by it.
    os.environ["SPT_NOENV"] = "1"
    _warm_up()
    secret = settings.run_server_secret.get_secret_value()
    with RunServer(settings.run_server_port, secret) as server:
        server.serve_forever()


def _warm_up() -> None:
    """Imports what a run needs, and keeps the garbage collector from copying it."""
    try:
        definitions: dg.Definitions = importlib.import_module(DEFINITIONS).defs
        definitions.get_repository_def().load_all_definitions()
    except Exception:
        traceback.print_exc()
        sys.exit(f"{DEFINITIONS} cannot be loaded, so no run can be started.")
    for name in _NEEDED_LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
