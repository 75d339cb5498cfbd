"""Whatever is killed while Sanity's documents are written, nothing stays half-done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from commerce_pipelines_tests.processes.imports import HOLD, LOST_ANSWER, send, send_new
from commerce_pipelines_tests.processes.running import QUICK, RunningStack, running, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

# A run goes on without these; what they start again must not disturb it.
PARTS = {
    "the code server": ("dagster", "api", "grpc"),
    "the daemon": ("dagster._daemon",),
    "the run server": ("commerce_pipelines.flows.run_server",),
}


def test_nothing_is_half_done_soon_after_a_kill_of_the_run_worker(stack: RunningStack) -> None:
    held = send(stack, "run worker", HOLD)
    stack.kill(_worker_of(held.run_id))
    # The undo waits for no lease of somebody who is known to be dead.
    stack.change(
        f"UPDATE saga SET lease_until = now() + interval '1 h' WHERE holder = '{held.run_id}'"
    )
    held.until_undone()
    held.expect_done()


@pytest.mark.parametrize("part", PARTS)
def test_a_run_ends_well_after_a_kill_of(part: str, stack: RunningStack) -> None:
    held = send(stack, part, {**HOLD, "seconds": 4})
    stack.kill(*PARTS[part])
    held.expect_done()
    assert held.status() == "succeeded"


def test_nothing_is_half_done_after_a_kill_of_everything_and_a_new_start(tmp_path: Path) -> None:
    home = tmp_path / "a home with spaces"
    with running(home, **QUICK) as stack:
        held = send(stack, "everything", HOLD)
        stack.kill_everything()
    with running(home, **QUICK) as stack:
        again = replace(held, stack=stack)
        again.until_undone()
        again.expect_done()


def test_an_undo_is_finished_after_a_kill_while_the_failure_hook_runs(stack: RunningStack) -> None:
    # Written, but told to nobody; looked up by the hook; then the hook's undo hangs.
    held = send_new(stack, "hook", LOST_ANSWER, {**HOLD, "after": 1})
    until("the hook's undo", lambda: held.steps() == ["done", "undoing"])
    stack.kill(_worker_of(held.run_id))
    held.until_undone()
    assert held.moves() == ["running", "aborting", "aborting", "aborting", "compensated"]
    held.expect_done()
    assert len(held.forward_effects()) == len(held.undo_effects()) == 1


def _worker_of(run_id: str) -> str:
    return f"commerce-pipelines run {run_id[:18]}"
