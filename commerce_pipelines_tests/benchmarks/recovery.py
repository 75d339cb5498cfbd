"""Recovery: from a SIGKILL in the middle of the Sanity step until all is undone.

With the default settings. Each round holds some imports in their Sanity step, kills their run
workers together with another part of the stack, and asks the ledger when the undos began and
ended. Who loses only the other part has nothing to undo: its run goes on.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from commerce_pipelines.cli.stack_programs import LOCATION
from commerce_pipelines.runtime.room import remove_room
from commerce_pipelines_tests.processes.imports import Fault, Import, Job, launch
from commerce_pipelines_tests.processes.running import RunningStack, running, until

ROUNDS = 2
IMPORTS = 5
# Until all of them are held and some seconds of a lease have gone by; Sanity's client waits 60 s.
HOLD: Fault = {"kind": "delay", "seconds": 45, "times": None}
# A lease is renewed as often, so that kills fall anywhere in between.
LONGEST_PAUSE_SECONDS = 10.0

JOB = Job(LOCATION, "pim_import", graph="import_pages")
WORKERS = "commerce-pipelines run"
EVERYTHING = "everything, then a new start"
VICTIMS: dict[str, tuple[str, ...]] = {
    "run workers": (),
    "run workers and code server": ("dagster", "api", "grpc"),
    "run workers and run server": ("commerce_pipelines.flows.run_server",),
    "run workers and daemon": ("dagster._daemon",),
}


@dataclass
class Times:
    """Seconds from the kill, one each saga."""

    started: list[float] = field(default_factory=list)
    undone: list[float] = field(default_factory=list)
    imported: list[float] = field(default_factory=list)

    def figures(self) -> tuple[str, ...]:
        """Returns median, 95th percentile and the slowest of each."""
        return tuple(_figures(each) for each in (self.started, self.undone, self.imported))


@dataclass
class Bench:
    """A stack that is killed again and again, and started again when nothing is left of it."""

    home: Path
    stays: ExitStack
    stack: RunningStack = field(init=False)
    rounds: int = 0

    def start(self) -> None:
        """Starts the stack, ready for imports."""
        self.stack = self.stays.enter_context(running(self.home))

    def kill(self, victim: str) -> Times:
        """Kills in the middle of some imports and waits until they have come again."""
        self.rounds += 1
        held = [self._held(number) for number in range(IMPORTS)]
        time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        killed_at = time.time()
        self._kill_now(victim, held)
        self.stack.shop.mend()
        return _times([replace(each, stack=self.stack) for each in held], killed_at)

    def _held(self, number: int) -> Import:
        faults = () if number else (HOLD,)
        return launch(self.stack, JOB, f"{self.rounds}-{number}", *faults)

    def _kill_now(self, victim: str, held: list[Import]) -> None:
        if victim == EVERYTHING:
            self.stack.kill_everything()
            self.start()
            return
        if VICTIMS[victim]:
            self.stack.kill(*VICTIMS[victim])
        for each in held:
            self.stack.kill(WORKERS, each.run_id[:18])


def rows() -> list[tuple[str, ...]]:
    """Returns a row a kind of victim, and one of all."""
    all_times = Times()
    shown = []
    with _bench() as bench:
        for victim in [*VICTIMS, EVERYTHING]:
            times = Times()
            for _ in range(ROUNDS):
                _add(times, bench.kill(victim))
            _add(all_times, times)
            shown.append((victim, *times.figures()))
    return [*shown, ("all of these", *all_times.figures())]


@contextmanager
def _bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="commerce-bench-") as directory:
        home = Path(directory, "home")
        try:
            with ExitStack() as stays:
                bench = Bench(home, stays)
                bench.start()
                yield bench
        finally:
            remove_room(home)


def _times(held: list[Import], killed_at: float) -> Times:
    times = Times()
    for each in held:
        each.until_undone()
        times.started.append(each.moved_at("aborting") - killed_at)
        times.undone.append(each.moved_at("compensated") - killed_at)
    for each in held:
        each.until_imported()
        times.imported.append(each.imported_at() - killed_at)
    until("the end of the last one", lambda: not held[0].stack.unfinished_sagas())
    return times


def _add(sum_: Times, times: Times) -> None:
    sum_.started += times.started
    sum_.undone += times.undone
    sum_.imported += times.imported


def _figures(times: list[float]) -> str:
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return f"{statistics.median(times):.0f} / {p95:.0f} / {max(times):.0f} s"
