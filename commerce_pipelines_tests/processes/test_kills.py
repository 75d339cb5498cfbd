"""Whatever is killed while Sanity's documents are written, nothing stays half-done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commerce_pipelines_tests.processes.running import RunningStack, running, until

OLD = {"external_id": "old", "title": "Old lamp"}
CHANGED = {"external_id": "old", "title": "Old lamp, new shade"}
NEW = [{"external_id": f"new-{number}", "title": f"New lamp {number}"} for number in range(3)]

# Long enough to be killed in, shorter than the worker's patience with Sanity.
HOLD_SECONDS = 8

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

PARTS = {
    "the run worker": ("commerce-pipelines run",),
    "the code server": ("dagster", "api", "grpc"),
    "the daemon": ("dagster._daemon",),
    "the run server": ("commerce_pipelines.flows.run_server",),
}


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_half_done_after_a_kill_of(part: str, tmp_path: Path) -> None:
    with running(tmp_path / "home") as stack:
        message_id = _send_while_sanity_hangs(stack)
        stack.kill(*PARTS[part])
        stack.shop.mend_sanity()
        _expect_all_done(stack, message_id)


def test_nothing_is_half_done_after_a_kill_of_everything_and_a_new_start(tmp_path: Path) -> None:
    home = tmp_path / "a home with spaces"
    with running(home) as stack:
        message_id = _send_while_sanity_hangs(stack)
        stack.kill_everything()
    with running(home) as stack:
        stack.shop.mend_sanity()
        _expect_all_done(stack, message_id)


def _send_while_sanity_hangs(stack: RunningStack) -> int:
    """Returns a message whose import is in the middle of its Sanity step."""
    first = stack.shop.send_products([OLD])
    until("the first import", lambda: stack.shop.finished_message(first))
    stack.fault(kind="delay", seconds=HOLD_SECONDS, times=1)
    message_id = stack.shop.send_products([CHANGED, *NEW])
    until("the intent", lambda: stack.ask("SELECT 1 FROM saga_step WHERE state = 'intended'"))
    return message_id


def _expect_all_done(stack: RunningStack, message_id: int) -> None:
    until("the import to finish by itself", lambda: stack.shop.finished_message(message_id))
    assert stack.ask("SELECT saga_id, status FROM saga WHERE finished_at IS NULL") == []
    expected = {product["external_id"]: product["title"] for product in [CHANGED, *NEW]}
    assert stack.shop.store_titles() == expected
    assert _titles(stack.shop.documents()) == expected


def _titles(documents: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {id_: document["title"] for id_, document in documents.items()}
