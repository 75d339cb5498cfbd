"""A value that somebody else has written since is never changed by an undo."""

from __future__ import annotations

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.cases import Field, Scene, distinct, kill
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.invariants import violations
from commerce_pipelines_tests.crashes.third_parties import EDITS, Edit
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def scene(field: Field) -> Scene:
    """An import of which Sanity does not answer the second transaction."""
    return field.trace(SCENES["an import that fails"])


def kept(
    ground: Ground, scene: Scene, point: int, edit: Edit, control: str | None = None
) -> list[str]:
    """Kills a child at a point, has somebody else change something, and recovers."""
    found = kill(ground, scene, point)
    ground.cms.heal()
    edit.make(ground)
    quiet = ground.recover(control)
    return [
        *found,
        *(["parked without need"] if ground.last_status() == "parked" else []),
        *([] if quiet else [f"still half-done: {ground.live()}"]),
        *([] if edit.stands(ground) else ["I6: it was changed back"]),
        *violations(ground),
    ]


@pytest.mark.parametrize("edit", EDITS)
def test_what_somebody_else_changed_stays(
    note: Note, field: Field, scene: Scene, edit: str
) -> None:
    def case(ground: Ground, point: int) -> list[str]:
        return kept(ground, scene, point, EDITS[edit])

    assert field.each(distinct(scene), case) == []
    note(len(distinct(scene)), f"kills of {scene.name}, then {edit} edited")


@pytest.mark.whole
@pytest.mark.parametrize("edit", EDITS)
def test_what_somebody_else_changed_stays_after_a_kill_anywhere(
    note: Note, field: Field, scene: Scene, edit: str
) -> None:
    def case(ground: Ground, point: int) -> list[str]:
        return kept(ground, scene, point, EDITS[edit])

    points = range(1, len(scene.points) + 1)
    assert field.each(points, case) == []
    note(len(points), f"kills of {scene.name}, then {edit} edited")
