"""Dagster's multiprocess executor: each op in a process of its own, which may outlive its run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psutil
import pytest

from commerce_pipelines_tests.processes.imports import (
    HOLD,
    LOST_ANSWER,
    Import,
    Job,
    alone,
    launch,
)
from commerce_pipelines_tests.processes.own_code_server import LOCATION
from commerce_pipelines_tests.processes.own_jobs import TRIES
from commerce_pipelines_tests.processes.running import RunningStack, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("own_jobs"),
]

STEP = "write_documents"
IN_PROCESSES = Job(LOCATION, "own_import", executor="multiprocess")
RETRIED = Job(LOCATION, "own_import_with_retries", executor="in_process")
RETRIED_IN_PROCESSES = replace(RETRIED, executor="multiprocess")
NO_SANITY = {"kind": "unavailable_before", "times": None}


def test_nothing_is_half_done_after_a_kill_of_the_op_process(stack: RunningStack) -> None:
    with alone(stack):
        held = launch(stack, IN_PROCESSES, "op process", HOLD)
        psutil.Process(stack.ui.step_pid(held.run_id, STEP)).kill()
        assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "FAILURE"
        held.until_undone()
    held.expect_done()


@pytest.mark.whole
def test_an_op_process_that_outlives_its_run_ends_its_saga_well(stack: RunningStack) -> None:
    with alone(stack):
        held = launch(stack, IN_PROCESSES, "living orphan", HOLD)
        op = psutil.Process(stack.ui.step_pid(held.run_id, STEP))
        psutil.Process(stack.ui.worker_pid(held.run_id)).kill()
        assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "FAILURE"
        assert op.is_running()
        held.expect_done()
    assert held.status() == "succeeded"


def test_an_op_process_that_was_taken_over_can_write_nothing_more(stack: RunningStack) -> None:
    with alone(stack):
        # It repeats its request, for Sanity takes none; then it is frozen and loses its run.
        held = launch(stack, IN_PROCESSES, "orphan", NO_SANITY)
        op = psutil.Process(stack.ui.step_pid(held.run_id, STEP))
        op.suspend()
        psutil.Process(stack.ui.worker_pid(held.run_id)).kill()
        stack.shop.mend()
        held.until_undone()
    held.expect_done()
    assert op.status() == psutil.STATUS_STOPPED
    before, repeated = _everything(held), stack.count_repeated()
    op.resume()
    # Its late request comes, and finds its id sealed.
    until("the request", lambda: stack.count_repeated() > repeated)
    until("its end", lambda: not op.is_running())
    assert _everything(held) == before
    assert any("was sealed" in said for said in stack.ui.failures(held.run_id))


def test_an_op_that_is_tried_again_sends_the_same_plan_once(stack: RunningStack) -> None:
    with alone(stack):
        held = launch(stack, RETRIED, "retried op", LOST_ANSWER)
        assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "SUCCESS"
    assert stack.ui.count_retries(held.run_id) == 1
    assert held.moves() == ["running", "succeeded"]
    assert held.steps() == ["done", "done"]
    assert len(held.forward_effects()) == 1
    held.expect_done()


def test_an_op_that_failed_in_its_last_try_is_undone(stack: RunningStack) -> None:
    with alone(stack):
        held = launch(stack, RETRIED, "retried in vain", {**NO_SANITY, "times": TRIES})
        assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "FAILURE"
        held.until_undone()
    assert stack.ui.count_retries(held.run_id) == TRIES - 1
    assert held.steps() == ["undone", "absent"]
    held.expect_done()


@pytest.mark.whole
def test_an_op_whose_process_was_killed_is_tried_again_under_the_same_plan(
    stack: RunningStack,
) -> None:
    with alone(stack):
        held = launch(stack, RETRIED_IN_PROCESSES, "retried op process", HOLD)
        psutil.Process(stack.ui.step_pid(held.run_id, STEP)).kill()
        held.expect_done()
        assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "SUCCESS"
    assert stack.ui.count_retries(held.run_id) == 1
    assert held.moves() == ["running", "succeeded"]
    assert held.steps() == ["done", "done"]
    assert len(held.forward_effects()) == 1


def _everything(held: Import) -> dict[str, list[Any]]:
    """Returns the whole of ledger and store, and what Sanity took for this import."""
    tables = ("saga", "saga_step", "saga_event", "product", "product_revision", "message")
    rows = {table: held.stack.ask(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
    return {**rows, "effects": held.forward_effects() + held.undo_effects()}
