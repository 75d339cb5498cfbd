"""A second kill, at any point of the recovery from the first one."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.cases import (
    Field,
    Scene,
    delivered_in_the_end,
    distinct,
    kill,
    rolled_back,
)
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

PAIRED = (
    "an import",
    "an order",
    "a sync of brands",
    "a push of a new brand",
    "a push of another name",
)

pytestmark = [pytest.mark.crashes, pytest.mark.whole, pytest.mark.timeout(7200)]


def recovery_points(field: Field, scene: Scene, first: int) -> int:
    """Returns how many points a sweep passes after a kill at a point."""
    with field.ground() as ground:
        kill(ground, scene, first)
        ground.cms.heal()
        ground.owner_is_gone()
        sweep = ground.send("sweep")
        sweep.finish()
        return len(sweep.points())


@pytest.mark.parametrize("scene_name", PAIRED)
def test_a_kill_of_the_recovery_from_a_kill(note: Note, field: Field, scene_name: str) -> None:
    scene = field.trace(SCENES[scene_name])
    pairs = [
        (first, second)
        for first in distinct(scene)
        for second in range(1, recovery_points(field, scene, first) + 1)
    ]

    def case(ground: Ground, pair: tuple[int, int]) -> list[str]:
        first, second = pair
        found = kill(ground, scene, first)
        ground.cms.heal()
        ground.owner_is_gone()
        ground.send("sweep", run_id="sweep-1", stop=Stop(second)).finish()
        return [*found, *rolled_back(ground, scene), *delivered_in_the_end(ground, scene)]

    assert field.each(pairs, case) == []
    note(len(pairs), f"pairs of kills of {scene.name}")
