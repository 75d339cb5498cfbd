"""Several compensators at once undo a saga once."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.cases import (
    Field,
    Scene,
    distinct,
    kill,
    rolled_back,
)
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(1800)]

CROWD = 8
ROUNDS = 20


@pytest.fixture(params=["an import that fails", "an order that fails"], scope="module")
def scene(request: pytest.FixtureRequest, field: Field) -> Scene:
    """A traced scene."""
    return field.trace(SCENES[request.param])


def swept_by(ground: Ground, scene: Scene, point: int, sweepers: int) -> list[str]:
    """Kills a child at a point and has several sweep at the same moment."""
    found = kill(ground, scene, point)
    ground.cms.heal()
    ground.owner_is_gone()
    children = [ground.send("sweep", run_id=f"sweep-{number}") for number in range(sweepers)]
    codes = [child.finish() for child in children]
    ended = [] if not any(codes) else [f"the sweeps ended with {codes}"]
    return [*found, *ended, *rolled_back(ground, scene)]


def test_three_at_once(note: Note, field: Field, scene: Scene) -> None:
    points = distinct(scene)[::3]
    assert field.each(points, lambda ground, point: swept_by(ground, scene, point, 3)) == []
    note(len(points), f"kills of {scene.name}, three sweeps at once")


@pytest.mark.whole
def test_three_at_once_after_a_kill_anywhere(note: Note, field: Field, scene: Scene) -> None:
    points = range(1, len(scene.points) + 1)
    assert field.each(points, lambda ground, point: swept_by(ground, scene, point, 3)) == []
    note(len(points), f"kills of {scene.name}, three sweeps at once")


@pytest.mark.whole
def test_a_crowd_at_once(note: Note, field: Field, scene: Scene) -> None:
    rounds = [distinct(scene)[-1 - number % 6] for number in range(ROUNDS)]
    assert field.each(rounds, lambda ground, point: swept_by(ground, scene, point, CROWD)) == []
    note(len(rounds), f"kills of {scene.name}, {CROWD} sweeps at once")
