"""Runs start once: in a fork of the run server, or else in the code server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from commerce_pipelines.errors import Unavailable
from commerce_pipelines.flows.launcher import WarmRunLauncher
from commerce_pipelines.flows.run_request import (
    DEFINITIONS,
    LONGEST_LINE_BYTES,
    LOOPBACK,
    RunRequest,
    ask,
)
from commerce_pipelines.flows.run_worker import TAG, RunWorker, worker_of
from commerce_pipelines.runtime.leftovers import MARK
from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines_tests.databases import Databases
from commerce_pipelines_tests.flows.launching import (
    SECRET,
    LossyServer,
    Stage,
    run_server,
    send,
    stage_on,
    until,
)

SUCCESS = dg.DagsterRunStatus.SUCCESS
RUN_START = dg.DagsterEventType.RUN_START


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Dagster with a code server; the run server is another fixture."""
    before = dict(os.environ)
    try:
        with (
            databases.migrated() as url,
            stage_on(url, tmp_path_factory.mktemp("dagster")) as stage,
        ):
            yield stage
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def server(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """The run server that the settings name."""
    with run_server(stage.port, tmp_path_factory.mktemp("server") / "log") as started:
        yield started


def health(stage: Stage, run: dg.DagsterRun) -> WorkerStatus:
    return stage.instance.run_launcher.check_run_worker_health(stage.reload(run)).status


def request_for(run: dg.DagsterRun, secret: str = SECRET) -> RunRequest:
    return RunRequest(secret=secret, run_id=run.run_id)


def test_a_run_is_executed_by_a_fork_of_the_run_server(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    run = stage.new_run()
    stage.launch(run)
    assert isinstance(stage.instance.run_launcher, WarmRunLauncher)
    assert stage.end_of(run) is SUCCESS
    assert GRPC_INFO_TAG not in stage.reload(run).tags
    worker = worker_of(stage.reload(run))
    assert worker
    until(lambda: worker.find() is None)


def test_the_run_server_can_be_forked_safely(stage: Stage, server: subprocess.Popen[bytes]) -> None:
    process = psutil.Process(server.pid)
    (connection,) = process.net_connections("all")
    assert process.num_threads() == 1
    assert connection.status == psutil.CONN_LISTEN
    assert connection.laddr.ip == "127.0.0.1"


def test_a_worker_shows_its_run_and_keeps_the_mark_of_its_stack(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    with stage.hanging_run() as run:
        worker = worker_of(run)
        process = worker.find() if worker else None
        assert process
        assert process.cmdline()[0].startswith(f"commerce-pipelines run {run.run_id[:18]}")
        assert process.environ()[MARK] == os.environ[MARK]


def test_terminating_a_run_ends_it_as_canceled(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    with stage.hanging_run() as run:
        assert health(stage, run) is WorkerStatus.RUNNING
        assert stage.instance.run_launcher.terminate(run.run_id)
        assert stage.end_of(run) is dg.DagsterRunStatus.CANCELED
    assert not stage.instance.run_launcher.terminate(run.run_id)


def test_a_run_whose_worker_was_killed_is_failed_by_the_monitoring(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    with stage.hanging_run() as run:
        stage.kill_worker(run)
    until(lambda: health(stage, run) is WorkerStatus.FAILED)
    assert not any(execute_run_monitoring_iteration(stage.context, getLogger("monitoring")))
    assert stage.end_of(run) is dg.DagsterRunStatus.FAILURE


def test_twenty_runs_at_once_all_succeed(stage: Stage, server: subprocess.Popen[bytes]) -> None:
    runs = [stage.new_run() for _ in range(20)]
    with ThreadPoolExecutor(20) as callers:
        list(callers.map(stage.launch, runs))
    assert {stage.end_of(run) for run in runs} == {SUCCESS}
    assert all(worker_of(stage.reload(run)) for run in runs)


def test_a_run_that_is_asked_for_many_times_at_once_is_executed_once(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    run = stage.new_run()
    request = request_for(run).model_dump_json().encode() + b"\n"
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: send(stage.port, request), range(8)))
    assert stage.end_of(run) is SUCCESS
    assert sum(b'"refused":null' in answer for answer in answers) == 1
    assert stage.count(run, RUN_START) == 1


def test_a_finished_run_is_not_started_again(stage: Stage, server: subprocess.Popen[bytes]) -> None:
    run = stage.new_run()
    stage.launch(run)
    stage.end_of(run)
    with pytest.raises(Unavailable, match="not there to be started"):
        ask(stage.port, request_for(run))
    assert stage.count(run, RUN_START) == 1


def test_a_retry_that_took_over_the_tags_of_the_run_before_it_is_started(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    first = stage.new_run()
    stage.launch(first)
    stage.end_of(first)
    retry = stage.new_run(tags={TAG: stage.reload(first).tags[TAG]})
    stage.launch(retry)
    assert stage.end_of(retry) is SUCCESS


@pytest.mark.parametrize(
    "request_line",
    [
        b"not json\n",
        b"{}\n",
        b'{"secret": "\xff", "run_id": "1"}\n',
        b"[" * LONGEST_LINE_BYTES,
    ],
)
def test_a_request_that_is_no_request_is_refused(
    stage: Stage, server: subprocess.Popen[bytes], request_line: bytes
) -> None:
    assert b"not valid" in send(stage.port, request_line)


def test_a_request_with_a_wrong_secret_is_refused(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    run = stage.new_run()
    with pytest.raises(Unavailable, match="not valid"):
        ask(stage.port, request_for(run, secret=f"{SECRET}!"))
    assert stage.reload(run).status is dg.DagsterRunStatus.NOT_STARTED


def test_a_silent_caller_delays_nobody(stage: Stage, server: subprocess.Popen[bytes]) -> None:
    run = stage.new_run()
    with socket.create_connection((LOOPBACK, stage.port)) as silent:
        silent.sendall(b"half a line")
        stage.launch(run)
    assert stage.end_of(run) is SUCCESS
    assert worker_of(stage.reload(run))


def test_a_run_starts_in_the_code_server_when_no_run_server_is_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_SERVER_PORT", "1")
    run = stage.new_run()
    stage.launch(run)
    assert stage.end_of(run) is SUCCESS
    assert GRPC_INFO_TAG in stage.reload(run).tags
    assert health(stage, run) is WorkerStatus.RUNNING


def test_a_run_whose_answer_is_lost_is_not_started_a_second_time(
    stage: Stage, server: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.new_run()
    with LossyServer(passes_on_to=stage.port).running() as lossy:
        monkeypatch.setenv("RUN_SERVER_PORT", str(lossy.port))
        stage.launch(run)
    assert stage.end_of(run) is SUCCESS
    assert GRPC_INFO_TAG not in stage.reload(run).tags
    assert stage.count(run, RUN_START) == 1


def test_a_request_that_comes_after_the_code_server_was_asked_is_refused(
    stage: Stage, server: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.new_run()
    with LossyServer().running() as lossy:
        monkeypatch.setenv("RUN_SERVER_PORT", str(lossy.port))
        stage.launch(run)
    assert b"not there to be started" in send(stage.port, lossy.request)
    assert stage.end_of(run) is SUCCESS
    assert stage.count(run, RUN_START) == 1


def test_a_run_outlives_its_run_server_and_the_next_one_takes_the_port(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port(0)
    monkeypatch.setenv("RUN_SERVER_PORT", str(port))
    with run_server(port, tmp_path / "log") as server, stage.hanging_run() as run:
        server.kill()
        server.wait()
        assert health(stage, run) is WorkerStatus.RUNNING
        with run_server(port, tmp_path / "log"):
            other = stage.new_run()
            stage.launch(other)
            assert health(stage, run) is WorkerStatus.RUNNING
        assert stage.end_of(other) is SUCCESS
        assert worker_of(stage.reload(other))


def test_a_run_of_somebody_elses_code_is_not_for_the_run_server(
    stage: Stage, server: subprocess.Popen[bytes]
) -> None:
    run = stage.new_run(definitions="somebody.elses")
    stage.launch(run)
    assert stage.end_of(run) is SUCCESS
    assert worker_of(stage.reload(run)) is None


def test_a_later_process_with_the_same_pid_is_not_the_worker() -> None:
    worker = RunWorker.current()
    assert worker.find() == psutil.Process()
    later = worker.model_copy(update={"started_seconds": worker.started_seconds + 10})
    assert later.find() is None
    assert worker.model_copy(update={"boot_id": "another"}).find() is None


def test_a_run_server_without_a_secret_says_what_is_missing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN_SERVER_SECRET")
    ended = run_python("from commerce_pipelines.flows.run_server import main; main()")
    assert ended.returncode == 1
    assert "RUN_SERVER_SECRET" in ended.stderr


def test_a_run_server_without_definitions_says_so(stage: Stage) -> None:
    ended = run_python(
        f"import sys; sys.modules[{DEFINITIONS!r}] = None; "
        "from commerce_pipelines.flows.run_server import main; main()"
    )
    assert ended.returncode == 1
    assert f"{DEFINITIONS} cannot be loaded" in ended.stderr


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False)
