"""Kills, freezes and other people in a product's update: both sides are as before, or as asked for.

Whatever somebody else has changed since stays as they have it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.erp_child import update_products
from commerce_pipelines_tests.crashes.erp_field import OUTSIDE, ErpField, each, numbered
from commerce_pipelines_tests.crashes.erp_scenes import EDITS, SCENES, Edit, Scene, UpdateGround
from commerce_pipelines_tests.crashes.test_freezes import SHORT_LIMITS

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(1800)]

PLAIN, UNDONE, UNSEALED = "answers", "refuses after it was done", "has no revisions"


def traced(erp_field: ErpField, scene: Scene) -> list[str]:
    """Returns the points of an update that nothing disturbs but its ERP."""
    with erp_field.ground(UpdateGround, scene.adapter) as ground:
        ground.begin(scene)
        code, points = ground.update()
        assert code == 0
        return points


def rolled_back(ground: UpdateGround) -> list[str]:
    """Sweeps, checks that both sides are as before or as asked for, and has it done in the end."""
    ground.heal()
    ground.recover()
    return [*ground.halves(), *ground.violations(), *ground.drained()]


def gone_on(ground: UpdateGround) -> list[str]:
    """Has the same run go on, and checks the same."""
    ground.heal()
    code, _ = ground.update()
    return [*([] if code == 0 else [f"the second child ended with {code}"]), *rolled_back(ground)]


@pytest.mark.parametrize(
    ("name", "after"),
    [
        *((name, rolled_back) for name in SCENES),
        (PLAIN, gone_on),
        *(pytest.param(name, gone_on, marks=pytest.mark.whole) for name in SCENES if name != PLAIN),
    ],
)
def test_a_kill_at_any_point_of_an_update_leaves_nothing_half_done(
    note: Note, erp_field: ErpField, name: str, after: Callable[[UpdateGround], list[str]]
) -> None:
    scene = SCENES[name]
    points = traced(erp_field, scene)
    killed = numbered(points) if name == PLAIN else numbered(points, *OUTSIDE)

    def case(point: int) -> list[str]:
        with erp_field.ground(UpdateGround, scene.adapter) as ground:
            ground.begin(scene)
            return ground.kill(update_products, point) or after(ground)

    assert each(killed, case) == []
    note(len(killed), f"kills of an update whose ERP {name}, {after.__name__}")


def thawed(ground: UpdateGround, scene: Scene, point: int) -> list[str]:
    """Freezes a child, has the update done without it, and lets it go on."""
    ground.begin(scene)
    with ground.frozen(update_products, point, settings=SHORT_LIMITS):
        found = rolled_back(ground)
    ground.recover()
    return [*found, *ground.halves(), *ground.violations()]


def edited(ground: UpdateGround, scene: Scene, point: int, edit: Edit) -> list[str]:
    """Kills a child, has somebody else change the product on both sides, and recovers."""
    ground.begin(scene)
    found = ground.kill(update_products, point)
    ground.heal()
    edit.make(ground)
    there = edit.over(ground.there if ground.has_succeeded else ground.details)
    title = "Teapot, large" if ground.has_succeeded and edit.title == "Teapot" else edit.title
    ground.recover()
    if (ground.there, ground.title) != (there, title):
        found.append(f"I4, I6: {ground.title} here, {ground.there} there")
    return [*found, *ground.violations()]


# As far as their write all updates are the same.
@pytest.mark.parametrize(
    ("name", "since"), [(UNDONE, ""), (PLAIN, "after PUT"), (UNSEALED, "before GET")]
)
def test_an_update_frozen_around_a_request_does_no_harm_when_it_wakes_up(
    note: Note, erp_field: ErpField, name: str, since: str
) -> None:
    points = traced(erp_field, SCENES[name])
    first = min(numbered(points, since))
    frozen = {at: point for at, point in numbered(points, *OUTSIDE).items() if at >= first}

    def case(point: int) -> list[str]:
        with erp_field.ground(UpdateGround, SCENES[name].adapter) as ground:
            return thawed(ground, SCENES[name], point)

    assert each(frozen, case) == []
    note(len(frozen), f"freezes of an update whose ERP {name}")


@pytest.mark.whole
@pytest.mark.parametrize("name", SCENES)
def test_an_update_frozen_anywhere_does_no_harm_when_it_wakes_up(
    note: Note, erp_field: ErpField, name: str
) -> None:
    points = traced(erp_field, SCENES[name])

    def case(point: int) -> list[str]:
        with erp_field.ground(UpdateGround, SCENES[name].adapter) as ground:
            return thawed(ground, SCENES[name], point)

    assert each(numbered(points), case) == []
    note(len(points), f"freezes of an update whose ERP {name}")


@pytest.mark.parametrize(("name", "since"), [(UNDONE, ""), (PLAIN, "after PUT")])
def test_what_somebody_else_changed_of_a_product_stays(
    note: Note, erp_field: ErpField, name: str, since: str
) -> None:
    points = traced(erp_field, SCENES[name])
    first = min(numbered(points, since))
    killed = {at: point for at, point in numbered(points, *OUTSIDE).items() if at >= first}

    def case(point: int) -> list[str]:
        with erp_field.ground(UpdateGround, SCENES[name].adapter) as ground:
            return edited(ground, SCENES[name], point, EDITS["all of these"])

    assert each(killed, case) == []
    note(len(killed), f"kills of an update whose ERP {name}, then the product edited")


@pytest.mark.whole
@pytest.mark.parametrize("name", [PLAIN, UNDONE, UNSEALED])
@pytest.mark.parametrize("edit", EDITS)
def test_what_somebody_else_changed_of_a_product_stays_after_a_kill_anywhere(
    note: Note, erp_field: ErpField, name: str, edit: str
) -> None:
    points = traced(erp_field, SCENES[name])

    def case(point: int) -> list[str]:
        with erp_field.ground(UpdateGround, SCENES[name].adapter) as ground:
            return edited(ground, SCENES[name], point, EDITS[edit])

    assert each(numbered(points), case) == []
    note(len(points), f"kills of an update whose ERP {name}, then {edit} edited")
