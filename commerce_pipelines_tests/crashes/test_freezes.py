"""A process that freezes, is taken over, and wakes up: it changes nothing any more."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.cases import Field, Scene, distinct, freeze
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(1800)]

# The project gives a frozen owner 15 seconds in a transaction; here it is one.
SHORT_LIMITS = {"idle_in_transaction_session_timeout": "1s"}


@pytest.fixture(params=SCENES, scope="module")
def scene(request: pytest.FixtureRequest, field: Field) -> Scene:
    """A traced scene."""
    return field.trace(SCENES[request.param])


def test_a_process_frozen_around_a_request_changes_nothing_when_it_wakes_up(
    note: Note, field: Field, scene: Scene
) -> None:
    def case(ground: Ground, point: int) -> list[str]:
        return freeze(ground, scene, point)

    assert field.each(distinct(scene), case) == []
    note(len(distinct(scene)), f"freezes of {scene.name}")


@pytest.mark.whole
def test_a_process_frozen_anywhere_changes_nothing_when_it_wakes_up(
    note: Note, field: Field, scene: Scene
) -> None:
    def case(ground: Ground, point: int) -> list[str]:
        return freeze(ground, scene, point, settings=SHORT_LIMITS)

    points = range(1, len(scene.points) + 1)
    assert field.each(points, case) == []
    note(len(points), f"freezes of {scene.name}")
