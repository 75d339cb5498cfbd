"""A second kill, at any point of the recovery from the first one, in the flows with an ERP."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.erp_child import (
    Flow,
    export_orders,
    import_statuses,
    sweep,
    update_products,
)
from commerce_pipelines_tests.crashes.erp_field import OUTSIDE, ErpField, each, numbered
from commerce_pipelines_tests.crashes.erp_ground import TIME_PASSES
from commerce_pipelines_tests.crashes.erp_scenes import UpdateGround
from commerce_pipelines_tests.crashes.order_scenes import OrderGround
from commerce_pipelines_tests.crashes.points import Stop

pytestmark = [pytest.mark.crashes, pytest.mark.whole, pytest.mark.timeout(7200)]


class Scene(NamedTuple):
    """What a child is at, and where."""

    flow: Flow
    kind: type[OrderGround] | type[UpdateGround]

    def killed(self, ground: OrderGround | UpdateGround, point: int) -> list[str]:
        """Kills a child at a point, and lets its lease have run out."""
        found = ground.kill(self.flow, point)
        ground.store.execute(TIME_PASSES)
        return found


SCENES = {
    "an export": Scene(export_orders, OrderGround),
    "an import of updates": Scene(import_statuses, OrderGround),
    "an update": Scene(update_products, UpdateGround),
}


def pairs_of(erp_field: ErpField, scene: Scene) -> dict[tuple[int, int], str]:
    """Returns the points of a child, each with all points of a sweep after a kill there."""
    with erp_field.ground(scene.kind) as ground:
        code, points = ground.finish(scene.flow)
        assert code == 0
    pairs = {}
    for first, name in numbered(points, *OUTSIDE).items():
        with erp_field.ground(scene.kind) as ground:
            assert scene.killed(ground, first) == []
            _, swept = ground.finish(sweep)
        pairs.update({(first, second): f"{name}; {each}" for second, each in enumerate(swept, 1)})
    return pairs


@pytest.mark.parametrize("name", SCENES)
def test_a_kill_of_the_recovery_leaves_nothing_half_done(
    note: Note, erp_field: ErpField, name: str
) -> None:
    scene = SCENES[name]
    pairs = pairs_of(erp_field, scene)

    def case(pair: tuple[int, int]) -> list[str]:
        first, second = pair
        with erp_field.ground(scene.kind) as ground:
            found = scene.killed(ground, first)
            ground.finish(sweep, Stop(second))
            ground.recover()
            return [*found, *ground.halves(), *ground.violations(), *ground.drained()]

    assert each(pairs, case) == []
    note(len(pairs), f"pairs of kills of {name}")
