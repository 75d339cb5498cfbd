"""A kill at every point of a product's update: both sides are as before, or both as asked for."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.crashes.cases import Note
from commerce_pipelines_tests.crashes.erp_scenes import Ground, lent
from commerce_pipelines_tests.databases import Databases

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(900)]

AT_ONCE = 3
FAULTS: dict[str, dict[str, Any]] = {
    "answers": {},
    "loses its answer": {"kind": "lost_answer", "times": 1},
    "is late": {"kind": "late", "times": 1, "seconds": 0.3},
    "refuses after it was done": {"kind": "unavailable_after", "times": 1},
}
Lend = Callable[[], Any]


@pytest.fixture(scope="module")
def lend(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lend]:
    """Lends ground, several at once."""
    directory: Path = tmp_path_factory.mktemp("points")
    with ExitStack() as stack:
        free: queue.Queue[RunningSandbox] = queue.Queue()
        for _ in range(AT_ONCE):
            sandbox = stack.enter_context(RunningSandbox(SandboxOptions(port=0, rate_limit=False)))
            # One after the other: routes are built by the first request, in no safe way.
            with lent(databases, sandbox.addresses, directory):
                free.put(sandbox)

        @contextmanager
        def one() -> Iterator[Ground]:
            sandbox = free.get()
            try:
                with lent(databases, sandbox.addresses, directory) as ground:
                    yield ground
            finally:
                free.put(sandbox)

        yield one


def break_erp(ground: Ground, fault: dict[str, Any]) -> None:
    if fault:
        ground.side.world.fault(**fault, method="PUT")


def rolled_back(ground: Ground) -> list[str]:
    """Sweeps, checks that both sides are as before or as asked for, and has it done in the end."""
    ground.side.world.ask("DELETE", "")
    ground.recover()
    (status,) = ground.side.catalog.values(
        "SELECT coalesce(max(status), 'compensated') FROM saga WHERE kind = 'product_update'"
    )
    found = ground.violations()
    if status != "succeeded" and ground.view() != ground.before:
        found.append(f"I4: {ground.view()} instead of {ground.before}")
    if status != "succeeded" and ground.side.catalog.dump() != ground.dump:
        found.append("I4: the store's rows are not as before")
    states = ground.side.catalog.rows(
        "SELECT state, outcome ? 'failed' FROM message WHERE topic = 'product_updates'"
    )
    ground.side.work("drain")
    title = ground.side.catalog.values(
        "SELECT title FROM product WHERE id = :id", id=ground.side.product_id
    )
    was_told = states == [("done", True)]
    expected = ["Teapot"] if was_told else ["Teapot, large"]
    there = [ground.side.there.details.title]
    if title != expected or there != expected:
        found.append(f"I3: {title} here, {there} there, {states}")
    return [*found, *ground.violations()]


def gone_on(ground: Ground) -> list[str]:
    """Has the same run go on, and checks the same."""
    ground.side.world.ask("DELETE", "")
    code, _ = ground.send()
    return [*([] if code == 0 else [f"the second child ended with {code}"]), *rolled_back(ground)]


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        *((fault, rolled_back) for fault in FAULTS),
        ("answers", gone_on),
        *(
            pytest.param(fault, gone_on, marks=pytest.mark.whole)
            for fault in FAULTS
            if fault != "answers"
        ),
    ],
)
def test_a_kill_at_any_point_of_an_update_leaves_nothing_half_done(
    note: Note, lend: Lend, fault: str, after: Callable[[Ground], list[str]]
) -> None:
    with lend() as ground:
        break_erp(ground, FAULTS[fault])
        code, points = ground.send()
        assert code == 0
    numbers = [
        number
        for number, name in enumerate(points, 1)
        if not FAULTS[fault] or name.startswith(("after", "no answer", "before P", "before G"))
    ]

    def case(point: int) -> list[str]:
        with lend() as ground:
            break_erp(ground, FAULTS[fault])
            code, passed = ground.send(point)
            if code != -9:
                return [f"point {point} was not reached: {passed[-1:]}"]
            return [f"point {point} ({passed[-1]}): {each}" for each in after(ground)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert [each for found in pool.map(case, numbers) for each in found] == []
    note(len(numbers), f"kills of an update whose ERP {fault}, {after.__name__}")
