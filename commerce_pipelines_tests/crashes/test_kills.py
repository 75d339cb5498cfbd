"""A kill at every point of a saga: it is rolled back, or goes on, and nothing is half-done."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.cases import (
    Field,
    Scene,
    delivered_in_the_end,
    kill,
    retried,
    rolled_back,
)
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(900)]


# The real export is killed in `test_order_kills`; the plainer orders come with the whole set.
_PLAIN_ORDERS = {"an order", "an order that fails"}
_PARAMS = [
    pytest.param(name, marks=[pytest.mark.whole] if name in _PLAIN_ORDERS else [])
    for name in SCENES
]


@pytest.fixture(params=_PARAMS, scope="module")
def scene(request: pytest.FixtureRequest, field: Field) -> Scene:
    """A traced scene."""
    return field.trace(SCENES[request.param])


def test_a_kill_at_any_point_is_rolled_back(note: Note, field: Field, scene: Scene) -> None:
    def case(ground: Ground, point: int) -> list[str]:
        found = kill(ground, scene, point) or rolled_back(ground, scene)
        return found or delivered_in_the_end(ground, scene)

    assert field.each(range(1, len(scene.points) + 1), case) == []
    note(len(scene.points), f"kills of {scene.name}, rolled back")


def test_after_a_kill_at_any_point_the_same_run_goes_on(
    note: Note, field: Field, scene: Scene
) -> None:
    def case(ground: Ground, point: int) -> list[str]:
        return kill(ground, scene, point) or retried(ground, scene)

    assert field.each(range(1, len(scene.points) + 1), case) == []
    note(len(scene.points), f"kills of {scene.name}, retried")
