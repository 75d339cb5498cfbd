"""Each mechanism switched off: the suite must see it, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes import orders
from commerce_pipelines_tests.crashes.cases import (
    Cast,
    Field,
    Scene,
    freeze,
    kill,
    rolled_back,
)
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.test_freezes import SHORT_LIMITS
from commerce_pipelines_tests.crashes.test_third_parties import kept
from commerce_pipelines_tests.crashes.third_parties import EDITS
from commerce_pipelines_tests.crashes.traced_scenes import SCENES

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(600)]

NO_LIMITS = {"idle_in_transaction_session_timeout": "0"}

Case = Callable[[Ground, Scene, int, str | None], list[str]]


def killed(ground: Ground, scene: Scene, point: int, control: str | None) -> list[str]:
    """A kill and its recovery."""
    return kill(ground, scene, point, control) or rolled_back(ground, scene, control)


def edited(ground: Ground, scene: Scene, point: int, control: str | None) -> list[str]:
    """A kill, then an editor changes our field."""
    return kept(ground, scene, point, EDITS["our field"], control)


def edited_elsewhere(ground: Ground, scene: Scene, point: int, control: str | None) -> list[str]:
    """A kill, then an editor changes another field of the document."""
    return kept(ground, scene, point, EDITS["another field"], control)


def frozen_in_a_transaction(
    ground: Ground, scene: Scene, point: int, control: str | None
) -> list[str]:
    """A freeze in a transaction; the control is the limit of its session."""
    settings = SHORT_LIMITS if control is None else NO_LIMITS
    return freeze(ground, scene, point, settings=settings)


def order_very_late(ground: Ground) -> None:
    """The order comes so late that even a slow machine looks before, if it does not wait."""
    ground.orders.late_seconds = orders.SETTLE_SECONDS - 0.5


CONTROLS: dict[str, tuple[Cast, str, Case]] = {
    "intent first": (SCENES["an import"], "POST", killed),
    "guard on undo": (SCENES["an import that fails"], "after POST", edited),
    "epoch": (SCENES["an import"], "before GET", freeze),
    "settle time": (Cast("export_order", setup=order_very_late), "no answer to POST", killed),
    "late-arrival audit": (SCENES["an order"], "before POST", freeze),
    "lock timeouts": (SCENES["an order"], "before UPDATE crash_stock", frozen_in_a_transaction),
    "look before act": (SCENES["an import that fails"], "after POST", edited_elsewhere),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_the_suite_turns_red_without(control: str, field: Field, note: Note) -> None:
    cast, words, case = CONTROLS[control]
    scene = field.trace(cast)
    points = scene.numbered(words)
    assert points, f"no point has {words} in its name"

    with_it = field.each(points, lambda ground, point: case(ground, scene, point, None))
    without = field.each(points, lambda ground, point: case(ground, scene, point, control))

    assert with_it == []
    assert without != []
    note(2 * len(points), f"with and without {control}: 0 and {len(without)} violations")
