"""The sweep in Dagster, in this process on real Postgres, and what starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import dagster as dg
import psutil
import pytest

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows import recovery
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.flows.run_worker import TAG, RunWorker
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.pim_import import KIND


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's database, and at a Sanity that is not asked."""
    wanted = {
        "POSTGRES_URL": postgres_url,
        "SANITY_URL": "http://127.0.0.1:1",
        "SANITY_PROJECT_ID": "unasked",
        "SANITY_SECRET_TOKEN": "token",
    }
    os.environ.update(wanted)
    yield
    for name in wanted:
        del os.environ[name]


def test_a_sweep_shows_how_many_sagas_came_to_what(ledger: Ledger) -> None:
    for _ in range(2):
        _give_up_a_saga(ledger)

    job = build_defs().resolve_job_def("saga_recovery")
    with dg.DagsterInstance.ephemeral() as instance:
        swept = job.execute_in_process(instance=instance)

    assert swept.success
    (output,) = [event for event in swept.all_node_events if event.is_successful_output]
    metadata = output.step_output_data.metadata
    assert {label: shown.value for label, shown in metadata.items()} == {"compensated": 2}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster of its own."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def dead() -> RunWorker:
    """A worker on this machine that was killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        since_boot = psutil.Process(process.pid).create_time() - psutil.boot_time()
        process.kill()
    return _worker(pid=process.pid, started_seconds=since_boot)


def test_the_saga_of_a_killed_worker_is_due_before_its_lease_ends(
    ledger: Ledger, instance: dg.DagsterInstance, dead: RunWorker
) -> None:
    saga_id = _hold_a_saga(ledger, instance, dead)
    assert ledger.due() == []

    tick = _look(instance)

    assert isinstance(tick, dg.RunRequest)
    assert ledger.due() == [saga_id]


def test_the_saga_of_a_worker_that_lives_is_left_to_it(
    ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    _hold_a_saga(ledger, instance, RunWorker.current())

    assert isinstance(_look(instance), dg.SkipReason)
    assert ledger.due() == []


@pytest.mark.parametrize("place", [{"boot_id": "another"}, {"pid_namespace": "pid:[1]"}])
def test_of_a_worker_elsewhere_nobody_here_says_that_it_is_dead(
    ledger: Ledger, instance: dg.DagsterInstance, dead: RunWorker, place: dict[str, str]
) -> None:
    _hold_a_saga(ledger, instance, dead.model_copy(update=place))

    assert isinstance(_look(instance), dg.SkipReason)
    assert ledger.due() == []


def test_the_saga_of_a_run_that_the_code_server_started_waits_for_its_lease(
    ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    _hold_a_saga(ledger, instance, None)

    assert isinstance(_look(instance), dg.SkipReason)
    assert ledger.due() == []


def _look(instance: dg.DagsterInstance) -> object:
    """Lets the sensor look once, as the daemon does."""
    resources = {"store": StoreResource()}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        return recovery.sensor(context)


def _worker(**differing: object) -> RunWorker:
    return RunWorker.current().model_copy(update=differing)


def _hold_a_saga(ledger: Ledger, instance: dg.DagsterInstance, worker: RunWorker | None) -> str:
    """Has a run hold a saga, executed by a worker, or by the code server's own."""
    run_id, saga_id = str(uuid4()), f"held-{uuid4().hex}"
    claimed = {"run_id": run_id, "worker": worker.model_dump() if worker else None}
    tags = {TAG: json.dumps(claimed)}
    job = build_defs().resolve_job_def("saga_recovery")
    instance.create_run_for_job(job, run_id=run_id, tags=tags)
    with ledger.engine.begin() as connection:
        ledger.begin(connection, saga_id=saga_id, kind=KIND, lock_key=saga_id, run_id=run_id)
    return saga_id


def _give_up_a_saga(ledger: Ledger) -> None:
    saga_id = f"given-up-{uuid4().hex}"
    with ledger.engine.begin() as connection:
        claim = ledger.begin(connection, saga_id=saga_id, kind=KIND, lock_key=saga_id, run_id="run")
        ledger.abort(connection, claim, "by the test")
