"""The cases: what happens to a child at a point, and what must be true afterwards."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from commerce_pipelines_tests.crashes.ground import RUN, Ground, Grounds, Systems, running_systems
from commerce_pipelines_tests.crashes.invariants import Snapshot, snapshot, violations
from commerce_pipelines_tests.crashes.points import Stop

AT_ONCE = 4

T = TypeVar("T")
Note = Callable[[int, str], None]
Setup = Callable[[Ground], None]


def as_it_is(ground: Ground) -> None:
    """Leaves the outside systems in order."""


@dataclass(frozen=True)
class Scene:
    """One thing that a child does, traced once.

    Attributes:
        name: Of `scenes.SCENES`.
        setup: What is wrong with the outside systems, if anything.
        prepare: What the scene finds beside what is on every ground.
        before: Everything, before the child.
        after: Everything, after a child that nothing disturbed.
        points: The names of the points that it passes.
    """

    name: str
    setup: Setup
    prepare: Setup
    before: Snapshot
    after: Snapshot
    points: list[str]

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

    grounds: Grounds
    _systems: queue.Queue[Systems]

    def trace(self, name: str, setup: Setup = as_it_is, prepare: Setup = as_it_is) -> Scene:
        """Does a scene, once without and once with its faults, and returns its points."""
        with self.ground() as ground:
            prepare(ground)
            before = snapshot(ground)
            assert ground.send(name).finish() == 0
            after = snapshot(ground)
        with self.ground() as ground:
            prepare(ground)
            setup(ground)
            child = ground.send(name)
            assert child.finish() == 0
            return Scene(name, setup, prepare, before, after, child.points())

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        """Lends ground for one case."""
        systems = self._systems.get()
        try:
            with self.grounds.lend(systems) as ground:
                yield ground
        finally:
            self._systems.put(systems)

    def each(self, points: Sequence[T], case: Callable[[Ground, T], list[str]]) -> list[str]:
        """Does a case at each of the points; returns what was violated where."""

        def one(point: T) -> list[str]:
            with self.ground() as ground:
                return [f"point {point}: {each}" for each in case(ground, point)]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [each for found in pool.map(one, points) for each in found]


@contextmanager
def open_field(grounds: Grounds) -> Iterator[Field]:
    """Starts as many outside systems as cases are done at once."""
    with ExitStack() as stack:
        systems: queue.Queue[Systems] = queue.Queue()
        for _ in range(AT_ONCE):
            systems.put(stack.enter_context(running_systems()))
        yield Field(grounds, systems)


def kill(ground: Ground, scene: Scene, point: int, control: str | None = None) -> list[str]:
    """Kills a child at a point."""
    scene.prepare(ground)
    scene.setup(ground)
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
    scene.prepare(ground)
    scene.setup(ground)
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
