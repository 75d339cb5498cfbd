"""Outside systems that answer wrongly, late or never leave nothing half-done."""

from __future__ import annotations

import time
from typing import Any

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.cases import (
    Field,
    Scene,
    delivered_in_the_end,
    rolled_back,
)
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(900)]

FAULTS: dict[str, dict[str, Any]] = {
    "unavailable_before": {},
    "unavailable_after": {},
    "lost_answer": {},
    "late": {"seconds": 0.2},
    "delay": {"seconds": 0.2},
    "rate_limited": {"seconds": 0.1},
    "html_error": {},
    "transaction_conflict": {},
}


def test_a_fault_at_any_request_of_an_import_and_its_undo_leaves_nothing_half_done(
    note: Note,
    field: Field,
) -> None:
    scene = field.trace(SCENES["an import that fails"])
    cases = [
        (kind, after) for kind in FAULTS for after in range(len(scene.numbered("before POST")))
    ]

    def case(ground: Ground, fault: tuple[str, int]) -> list[str]:
        kind, after = fault
        scene.begin(ground)
        ground.cms.fault(kind, after=after, **FAULTS[kind])
        code = ground.send(scene.name).finish()
        ended = [] if code == 0 else [f"the child ended with {code}"]
        time.sleep(FAULTS[kind].get("seconds", 0.0))  # what is late comes in its own case
        return [*ended, *rolled_back(ground, scene), *delivered_in_the_end(ground, scene)]

    assert field.each(cases, case) == []
    note(len(cases), "faults of Sanity")


@pytest.mark.parametrize("scene_name", ["an order that fails", "an order that comes late"])
def test_an_order_system_that_applies_and_answers_503_is_undone(
    field: Field, scene_name: str
) -> None:
    scene: Scene = field.trace(SCENES[scene_name])

    def case(ground: Ground, busy_after: int) -> list[str]:
        scene.begin(ground)
        ground.orders.busy_after = busy_after
        ground.send(scene.name).finish()
        return rolled_back(ground, scene)

    assert field.each([1, 2, 3], case) == []
