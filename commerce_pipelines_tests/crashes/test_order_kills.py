"""A kill or a freeze at every point of an export and of an import of order updates.

An order is in the ERP once and confirmed, or not at all; one that was confirmed is never
cancelled; and in the end each is exported, and the ERP's word applied.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines.services import order_export, order_status_import
from commerce_pipelines_tests.crashes.cases import Note
from commerce_pipelines_tests.crashes.order_scenes import (
    LATE_SECONDS,
    RUN,
    Ground,
    lent,
)
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.databases import Databases

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(900)]

AT_ONCE = 3
Lend = Callable[[], Any]


class Scene(NamedTuple):
    """What a child is at.

    Attributes:
        fault: Of the ERP, while it is at it.
    """

    kind: str
    refuses: bool = False
    fault: dict[str, Any] | None = None

    def begin(self, ground: Ground) -> None:
        """Has the ERP show its fault."""
        if self.fault:
            ground.late_seconds = self.fault.get("seconds", 0.0) + 0.1
            ground.world.fault(**self.fault)


_LATE = {"kind": "late", "method": "POST", "times": 1, "seconds": LATE_SECONDS}
_LOST = {"kind": "lost_answer", "method": "POST", "times": 1}
SCENES = {
    "an export": Scene(order_export.KIND),
    "an export that is refused": Scene(order_export.KIND, refuses=True),
    "an export whose draft comes late": Scene(order_export.KIND, fault=_LATE),
    "an export whose draft is not answered": Scene(order_export.KIND, fault=_LOST),
    "an export confirmed late": Scene(order_export.KIND, fault={**_LATE, "route": "/confirm"}),
    "an export confirmed without an answer": Scene(
        order_export.KIND, fault={**_LOST, "route": "/confirm"}
    ),
    "an import of updates": Scene(order_status_import.KIND),
}


@pytest.fixture(scope="module")
def lend(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lend]:
    """Lends ground, several at once."""
    directory: Path = tmp_path_factory.mktemp("points")
    with ExitStack() as stack:
        free: queue.Queue[RunningSandbox] = queue.Queue()
        for _ in range(AT_ONCE):
            free.put(stack.enter_context(RunningSandbox(SandboxOptions(port=0, rate_limit=False))))

        @contextmanager
        def one() -> Iterator[Ground]:
            sandbox = free.get()
            try:
                with lent(databases, sandbox.addresses, directory) as ground:
                    yield ground
            finally:
                free.put(sandbox)

        yield one


def traced(lend: Lend, scene: Scene) -> list[str]:
    """Returns the points of a scene that nothing disturbs but its fault."""
    with lend() as ground:
        scene.begin(ground)
        code, points = ground.finish(scene.kind, refuses=scene.refuses)
        assert code == 0
        return list(points)


def each(points: list[int], case: Callable[[int], list[str]]) -> list[str]:
    """Does a case at each of the points; returns what was violated where."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [one for found in pool.map(case, points) for one in found]


def rolled_back_or_finished(ground: Ground, scene: Scene) -> list[str]:
    """Sweeps, and checks that both sides agree, then and when it is done in the end."""
    del scene
    ground.world.ask("DELETE", "")
    ground.recover()
    return [*ground.halves(), *ground.violations(), *ground.drained()]


def gone_on(ground: Ground, scene: Scene) -> list[str]:
    """Has the same run go on, with an ERP that is well again, and checks the same."""
    ground.world.ask("DELETE", "")
    code, _ = ground.finish(scene.kind)
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
    note: Note, lend: Lend, name: str, after: Callable[[Ground, Scene], list[str]]
) -> None:
    scene = SCENES[name]
    points = traced(lend, scene)
    numbers = [
        number
        for number, point in enumerate(points, 1)
        if not scene.fault or point.startswith(("after", "no answer", "before P", "before G"))
    ]

    def case(point: int) -> list[str]:
        with lend() as ground:
            scene.begin(ground)
            code, passed = ground.finish(scene.kind, Stop(point), refuses=scene.refuses)
            if code != -9:
                return [f"point {point} was not reached: {passed[-1:]}"]
            return [f"point {point} ({passed[-1]}): {one}" for one in after(ground, scene)]

    assert each(numbers, case) == []
    note(len(numbers), f"kills of {name}, {after.__name__}")


@pytest.mark.parametrize("name", ["an export", "an export that is refused"])
def test_a_frozen_export_that_thaws_after_the_order_was_exported_again_does_no_harm(
    note: Note, lend: Lend, name: str
) -> None:
    scene = SCENES[name]
    points = traced(lend, scene)
    numbers = [
        number
        for number, point in enumerate(points, 1)
        if any(word in point for word in ("after COMMIT", "POST", "GET"))
    ]

    def case(point: int) -> list[str]:
        with lend() as ground:
            child = ground.send(scene.kind, Stop(point, frozen=True), refuses=scene.refuses)
            if not child.freeze():
                return [f"point {point} was not reached"]
            ground.recover()
            found = ground.drained()
            child.thaw()
            ground.recover()
            found += [*ground.halves(), *ground.violations()]
            return [f"point {point} ({points[point - 1]}): {one}" for one in found]

    assert each(numbers, case) == []
    note(len(numbers), f"freezes of {name}")


def test_killed_around_its_confirmation_an_order_always_ends_exported(lend: Lend) -> None:
    scene = SCENES["an export"]
    points = traced(lend, scene)
    around = [
        number for number, point in enumerate(points, 1) if "POST" in point and "confirm" in point
    ]
    assert len(around) == 2

    for point in around:
        with lend() as ground:
            ground.finish(scene.kind, Stop(point))
            ground.recover()
            ended = ground.desk.rows(f"SELECT status FROM saga WHERE root_run_id = '{RUN}'")
            assert (ended, ground.halves()) == ([("succeeded",)], [])
            assert ground.desk.show(ground.order_id).sync.state == "exported"
