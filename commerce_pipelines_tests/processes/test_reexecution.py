"""Re-execution in Dagster's UI of a run that was rolled back."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.processes.imports import LOST_ANSWER, Import, send_new
from commerce_pipelines_tests.processes.running import RunningStack, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]


def test_from_failure_is_refused_with_what_to_do_instead(stack: RunningStack) -> None:
    undone = _undone(stack, "from failure")
    again = stack.ui.reexecute(undone.run_id, "FROM_FAILURE")
    assert until("the end of the run", lambda: stack.ui.end_of(again)) == "FAILURE"
    (said,) = stack.ui.failures(again)
    assert said.startswith(f"Conflict: Saga {undone.saga_id} is compensated")
    assert "Start a new run instead of continuing this one." in said
    assert undone.status() == "compensated"
    undone.expect_done()


def test_all_steps_starts_afresh(stack: RunningStack) -> None:
    undone = _undone(stack, "all steps")
    again = stack.ui.reexecute(undone.run_id, "ALL_STEPS")
    assert until("the end of the run", lambda: stack.ui.end_of(again)) == "SUCCESS"
    undone.expect_done()


def _undone(stack: RunningStack, name: str) -> Import:
    failed = send_new(stack, name, LOST_ANSWER)
    assert until("the end of the run", lambda: stack.ui.end_of(failed.run_id)) == "FAILURE"
    # By its hook, or by a sweep that came first.
    failed.until_undone()
    return failed
