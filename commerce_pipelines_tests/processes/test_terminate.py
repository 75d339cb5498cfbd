"""A run that a person terminates in Dagster's UI is undone, and its message comes again."""

from __future__ import annotations

import time

import pytest

from commerce_pipelines_tests.processes.imports import HOLD, send_new
from commerce_pipelines_tests.processes.running import RunningStack, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

POLICIES = {
    "safely": "SAFE_TERMINATE",
    "by force": "MARK_AS_CANCELED_IMMEDIATELY",
}
# Far less than Dagster's own patience with a run that does not end.
SOON_SECONDS = 5.0


@pytest.mark.parametrize("how", POLICIES)
def test_a_run_is_undone_that_was_terminated(how: str, stack: RunningStack) -> None:
    held = send_new(stack, f"terminated {how}", HOLD)
    stack.ui.terminate(held.run_id, POLICIES[how])
    # Given up by the run itself: nobody has to wait for its lease.
    until("the run to give up", lambda: "aborting" in held.moves())
    assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "CANCELED"
    held.until_undone()
    assert "Interrupted" in held.reason()
    held.expect_done()


def test_terminating_a_run_whose_worker_is_gone_ends_it_at_once(stack: RunningStack) -> None:
    held = send_new(stack, "terminated when gone", HOLD)
    stack.kill(f"commerce-pipelines run {held.run_id[:18]}")
    asked_at = time.monotonic()
    stack.ui.terminate(held.run_id)
    assert until("the end of the run", lambda: stack.ui.end_of(held.run_id)) == "CANCELED"
    assert time.monotonic() - asked_at < SOON_SECONDS
    held.until_undone()
    held.expect_done()
