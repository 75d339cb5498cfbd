"""A kill or a freeze at every point of an export and of an import of order updates.

An order is in the ERP once and confirmed, or not at all; one that was confirmed is never
cancelled; and in the end each is exported, and the ERP's word applied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.erp_child import RUN, Flow, export_orders, import_statuses
from commerce_pipelines_tests.crashes.erp_field import OUTSIDE, ErpField, each, numbered
from commerce_pipelines_tests.crashes.order_scenes import OrderGround, RefusingErp

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(900)]

LATE_SECONDS = 0.3


class Scene(NamedTuple):
    """What a child is at.

    Attributes:
        adapter: How it speaks with the ERP.
        fault: Of the ERP, while it is at it.
    """

    flow: Flow
    adapter: type[RestErp] = RestErp
    fault: dict[str, Any] | None = None

    def begin(self, ground: OrderGround) -> None:
        """Has the ERP show its fault."""
        if self.fault:
            ground.show(self.fault)


_LATE = {"kind": "late", "method": "POST", "times": 1, "seconds": LATE_SECONDS}
_LOST = {"kind": "lost_answer", "method": "POST", "times": 1}
SCENES = {
    "an export": Scene(export_orders),
    "an export that is refused": Scene(export_orders, RefusingErp),
    "an export whose draft comes late": Scene(export_orders, fault=_LATE),
    "an export whose draft is not answered": Scene(export_orders, fault=_LOST),
    "an export confirmed late": Scene(export_orders, fault={**_LATE, "route": "/confirm"}),
    "an export confirmed without an answer": Scene(
        export_orders, fault={**_LOST, "route": "/confirm"}
    ),
    "an import of updates": Scene(import_statuses),
}


def traced(erp_field: ErpField, scene: Scene) -> list[str]:
    """Returns the points of a scene that nothing disturbs but its fault."""
    with erp_field.ground(OrderGround) as ground:
        scene.begin(ground)
        code, points = ground.finish(scene.flow, adapter=scene.adapter)
        assert code == 0
        return points


def rolled_back_or_finished(ground: OrderGround, scene: Scene) -> list[str]:
    """Sweeps, and checks that both sides agree, then and when it is done in the end."""
    del scene
    ground.heal()
    ground.recover()
    return [*ground.halves(), *ground.violations(), *ground.drained()]


def gone_on(ground: OrderGround, scene: Scene) -> list[str]:
    """Has the same run go on, with an ERP that is well again, and checks the same."""
    ground.heal()
    code, _ = ground.finish(scene.flow)
    found = [] if code == 0 else [f"the second child ended with {code}"]
    return [*found, *rolled_back_or_finished(ground, scene)]


@pytest.mark.parametrize(
    ("name", "after"),
    [
        *((name, rolled_back_or_finished) for name in SCENES),
        *((name, gone_on) for name, scene in SCENES.items() if not scene.fault),
        *(
            pytest.param(name, gone_on, marks=pytest.mark.whole)
            for name, scene in SCENES.items()
            if scene.fault
        ),
    ],
)
def test_a_kill_at_any_point_leaves_no_order_half_done(
    note: Note, erp_field: ErpField, name: str, after: Callable[[OrderGround, Scene], list[str]]
) -> None:
    scene = SCENES[name]
    points = traced(erp_field, scene)
    killed = numbered(points, *OUTSIDE) if scene.fault else numbered(points)

    def case(point: int) -> list[str]:
        with erp_field.ground(OrderGround) as ground:
            scene.begin(ground)
            found = ground.kill(scene.flow, point, adapter=scene.adapter)
            return found or after(ground, scene)

    assert each(killed, case) == []
    note(len(killed), f"kills of {name}, {after.__name__}")


@pytest.mark.parametrize("name", ["an export", "an export that is refused"])
def test_a_frozen_export_that_thaws_after_the_order_was_exported_again_does_no_harm(
    note: Note, erp_field: ErpField, name: str
) -> None:
    scene = SCENES[name]
    points = traced(erp_field, scene)
    frozen = numbered(points, *OUTSIDE)

    def case(point: int) -> list[str]:
        with erp_field.ground(OrderGround) as ground:
            with ground.frozen(scene.flow, point, adapter=scene.adapter):
                ground.recover()
                found = ground.drained()
            ground.recover()
            return [*found, *ground.halves(), *ground.violations()]

    assert each(frozen, case) == []
    note(len(frozen), f"freezes of {name}")


def test_killed_around_its_confirmation_an_order_always_ends_exported(erp_field: ErpField) -> None:
    scene = SCENES["an export"]
    points = traced(erp_field, scene)
    around = [
        number for number, point in enumerate(points, 1) if "POST" in point and "confirm" in point
    ]
    assert len(around) == 2

    for point in around:
        with erp_field.ground(OrderGround) as ground:
            ground.kill(scene.flow, point)
            ground.recover()
            ended = ground.desk.rows(f"SELECT status FROM saga WHERE root_run_id = '{RUN}'")
            assert (ended, ground.halves()) == ([("succeeded",)], [])
            assert ground.desk.show(ground.order_id).sync.state == "exported"
