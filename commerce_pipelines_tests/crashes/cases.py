"""The cases: what happens to a child at a point, and what must be true afterwards."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from commerce_pipelines_tests.crashes.ground import RUN, Ground, Kept, open_ground
from commerce_pipelines_tests.crashes.invariants import Snapshot, snapshot, violations
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.databases import Databases

AT_ONCE = 4

T = TypeVar("T")
Setup = Callable[[Ground], None]


def as_it_is(ground: Ground) -> None:
    """Leaves the outside systems in order."""


@dataclass(frozen=True)
class Cast:
    """What a scene is made of.

    Attributes:
        does: What the child does, of `scenes.SCENES`.
        store: What the store has beside what is on every ground; kept over the cases.
        elsewhere: What has changed in the outside systems since.
        setup: What is wrong with the outside systems, if anything.
    """

    does: str
    store: Setup = as_it_is
    elsewhere: Setup = as_it_is
    setup: Setup = as_it_is


@dataclass(frozen=True)
class Scene:
    """One thing that a child does, traced once.

    Attributes:
        cast: What it is made of.
        kept: The ground on which it begins.
        before: Everything, before the child.
        after: Everything, after a child that nothing disturbed.
        points: The names of the points that it passes.
    """

    cast: Cast
    kept: Kept
    before: Snapshot
    after: Snapshot
    points: list[str]

    @property
    def name(self) -> str:
        """What the child does."""
        return self.cast.does

    def begin(self, ground: Ground) -> None:
        """Makes everything as it is before the child."""
        ground.restore(self.kept)
        self.cast.elsewhere(ground)
        self.cast.setup(ground)

    def numbered(self, *words: str) -> list[int]:
        """Returns the numbers of the points whose names have all of the words."""
        return [
            number
            for number, name in enumerate(self.points, 1)
            if all(word in name for word in words)
        ]


@dataclass(frozen=True)
class Field:
    """Where cases are done, several at once."""

    _grounds: queue.Queue[Ground]
    _scenes: dict[Cast, Scene] = field(default_factory=dict)

    def trace(self, cast: Cast) -> Scene:
        """Returns a scene, which is done when it is first asked for."""
        if cast not in self._scenes:
            with self.ground() as ground:
                self._scenes[cast] = _traced(ground, cast)
        return self._scenes[cast]

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        """Lends ground for one case, as the last case has left it."""
        ground = self._grounds.get()
        try:
            yield ground
        finally:
            self._grounds.put(ground)

    def each(self, points: Sequence[T], case: Callable[[Ground, T], list[str]]) -> list[str]:
        """Does a case at each of the points; returns what was violated where."""

        def one(point: T) -> list[str]:
            with self.ground() as ground:
                return [f"point {point}: {each}" for each in case(ground, point)]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [each for found in pool.map(one, points) for each in found]


@contextmanager
def open_field(databases: Databases, notes: Path) -> Iterator[Field]:
    """Opens as many grounds as cases are done at once."""
    with ExitStack() as stack:
        grounds: queue.Queue[Ground] = queue.Queue()
        for number in range(AT_ONCE):
            of_ground = notes / str(number)
            of_ground.mkdir()
            grounds.put(stack.enter_context(open_ground(databases, of_ground)))
        yield Field(grounds)


def _traced(ground: Ground, cast: Cast) -> Scene:
    """Does a scene, once without and once with its faults."""
    ground.prepare()
    cast.store(ground)
    kept = ground.keep()
    cast.elsewhere(ground)
    before = snapshot(ground)
    assert ground.send(cast.does).finish() == 0
    scene = Scene(cast, kept, before, snapshot(ground), [])
    scene.begin(ground)
    child = ground.send(cast.does)
    assert child.finish() == 0
    return replace(scene, points=child.points())


def kill(ground: Ground, scene: Scene, point: int, control: str | None = None) -> list[str]:
    """Kills a child at a point."""
    scene.begin(ground)
    child = ground.send(scene.name, stop=Stop(point), control=control)
    if child.finish() != -9:
        return [f"the point was not reached: {child.points()[-1:]}"]
    return []


def freeze(
    ground: Ground,
    scene: Scene,
    point: int,
    control: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> list[str]:
    """Freezes a child at a point, recovers without it, thaws it, and looks for late effects."""
    scene.begin(ground)
    child = ground.send(
        scene.name, stop=Stop(point, frozen=True), control=control, settings=settings
    )
    if not child.freeze():
        return [f"the point was not reached: {child.points()[-1:]}"]
    try:
        found = rolled_back(ground, scene, control)
    finally:
        child.thaw()
    ground.recover(control)
    snapshot(ground)  # what is late has come when it returns
    ground.audit(control)
    return [*found, *compared(ground, scene), *violations(ground)]


def distinct(scene: Scene) -> list[int]:
    """Returns the points with different states outside the process: commits and requests."""
    words = ("after COMMIT", "GET", "POST")
    return sorted({number for word in words for number in scene.numbered(word)})


def rolled_back(ground: Ground, scene: Scene, control: str | None = None) -> list[str]:
    """Sweeps, and checks that everything is as before, or as after if the saga had ended."""
    ground.cms.heal()
    quiet = ground.recover(control)
    missed = [] if quiet else [f"still half-done: {ground.live()}"]
    return [*missed, *compared(ground, scene), *violations(ground)]


def compared(ground: Ground, scene: Scene) -> list[str]:
    """Compares with what it was before, or should be after success."""
    succeeded = ground.last_status() == "succeeded"
    expected = scene.after if succeeded else scene.before
    name = "I3" if succeeded else "I4"
    return [f"{name}: {each}" for each in _differences(expected, snapshot(ground))]


def retried(ground: Ground, scene: Scene) -> list[str]:
    """Has the same run go on where it was killed, and checks that all is there, once."""
    ground.cms.heal()
    child = ground.send(scene.name, run_id=RUN)
    code = child.finish()
    ended = [] if code == 0 else [f"the second child ended with {code}"]
    ground.recover()
    return [*ended, *compared(ground, scene), *violations(ground)]


def delivered_in_the_end(ground: Ground, scene: Scene) -> list[str]:
    """Lets it be done in the end, and checks that everything is as after an undisturbed one."""
    if "order" in scene.name:
        return []
    ground.finish(scene.name)
    left = ground.waiting(scene.name)
    return [
        *([f"messages left: {left}"] if left else []),
        *(f"I3: {each}" for each in _differences(scene.after, snapshot(ground))),
        *violations(ground),
    ]


def _differences(expected: Snapshot, seen: Snapshot) -> list[str]:
    differences = []
    for system, wanted in expected.items():
        there = seen[system]
        if wanted == there:
            continue
        if not isinstance(wanted, dict):
            differences.append(f"{system}: {there} instead of {wanted}")
            continue
        differences += [
            f"{system} {key}: {there.get(key)} instead of {wanted.get(key)}"
            for key in sorted({*wanted, *there})
            if wanted.get(key) != there.get(key)
        ]
    return differences
