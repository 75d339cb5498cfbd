"""The sweep in Dagster: one job in this process, on real Postgres."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import dagster as dg
import pytest

from commerce_pipelines.definitions import build_defs
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


def _give_up_a_saga(ledger: Ledger) -> None:
    saga_id = f"given-up-{uuid4().hex}"
    with ledger.engine.begin() as connection:
        claim = ledger.begin(connection, saga_id=saga_id, kind=KIND, lock_key=saga_id, run_id="run")
        ledger.abort(connection, claim, "by the test")
