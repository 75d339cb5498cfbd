"""Workers die and the database goes away at random; nothing is half-done, all is done in the end.

The numbered points find more; this is the second net, for what nobody numbered.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from commerce_pipelines.errors import CommerceError
from commerce_pipelines.runtime.postgres import EmbeddedPostgres
from commerce_pipelines.store.engine import connect
from commerce_pipelines.store.schema import migrate
from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.ground import Ground
from commerce_pipelines_tests.crashes.invariants import violations
from commerce_pipelines_tests.crashes.systems import running_systems
from commerce_pipelines_tests.factories import product

pytestmark = [pytest.mark.crashes, pytest.mark.timeout(1800)]

WORKERS = 3
PRODUCTS = 25
DATABASE = "disturbed"
PATIENCE_SECONDS = 900.0

Disturb = Callable[[Ground, list[Child], random.Random], None]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of this test alone."""
    server = EmbeddedPostgres(tmp_path / "home", durable=False)
    server.start()
    server.create_database(DATABASE)
    engine = connect(server.url(DATABASE))
    migrate(engine)
    engine.dispose()
    yield server
    server.destroy()


def restart(postgres: EmbeddedPostgres) -> Disturb:
    """Returns what kills the server and starts it again."""

    def disturb(ground: Ground, workers: list[Child], dice: random.Random) -> None:
        server = postgres.start()
        server.send_signal(dice.choice([signal.SIGQUIT, signal.SIGKILL]))
        server.wait()
        postgres.start()

    return disturb


def kill_a_worker(ground: Ground, workers: list[Child], dice: random.Random) -> None:
    """Kills a worker and has another one take its place."""
    victim = dice.randrange(len(workers))
    workers[victim].kill()
    workers[victim] = start_worker(ground)


def test_postgres_restarts_again_and_again(
    postgres: EmbeddedPostgres, tmp_path: Path, note: Note
) -> None:
    survive(postgres, tmp_path, restart(postgres), note, messages=150, pause_seconds=0.7)


def test_workers_are_killed_at_random(
    postgres: EmbeddedPostgres, tmp_path: Path, note: Note
) -> None:
    survive(postgres, tmp_path, kill_a_worker, note, messages=150, pause_seconds=0.1)


@pytest.mark.whole
def test_postgres_restarts_for_minutes(
    postgres: EmbeddedPostgres, tmp_path: Path, note: Note
) -> None:
    survive(postgres, tmp_path, restart(postgres), note, messages=2_000, pause_seconds=2.0)


@pytest.mark.whole
def test_workers_are_killed_hundreds_of_times(
    postgres: EmbeddedPostgres, tmp_path: Path, note: Note
) -> None:
    survive(postgres, tmp_path, kill_a_worker, note, messages=2_000, pause_seconds=0.1)


def survive(
    postgres: EmbeddedPostgres,
    notes: Path,
    disturb: Disturb,
    note: Note,
    *,
    messages: int,
    pause_seconds: float,
) -> None:
    """Has workers import one message a saga while they are disturbed, and looks."""
    with (
        running_systems() as systems,
        closing(Ground(systems, postgres.url(DATABASE), notes)) as ground,
    ):
        for number in range(messages):
            ground.shop.receive(product(number % PRODUCTS, title=f"Title {number}"))
        disturbances = disturb_until_done(ground, disturb, pause_seconds)

        assert disturbances >= 2
        assert violations(ground) == []
        assert ground.shop.values("SELECT id FROM message WHERE state <> 'done'") == []
        newest = sorted(f"Title {number}" for number in range(messages - PRODUCTS, messages))
        assert ground.shop.titles() == ground.cms.titles() == newest
        (sagas,) = ground.shop.values("SELECT count(*) FROM saga")
        note(sagas, f"sagas for {messages} messages, disturbed {disturbances} times")


def disturb_until_done(ground: Ground, disturb: Disturb, pause_seconds: float) -> int:
    """Disturbs and sweeps until all messages are done; returns how often."""
    dice = random.Random(1)
    disturbances = 0
    left = waiting(ground, 0)
    slowness = 1.0
    workers = [start_worker(ground) for _ in range(WORKERS)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while disturbances < 2 or left:
        assert time.monotonic() < deadline, "the work does not come to an end"
        assert not any(worker.has_ended() for worker in workers), "a worker ended by itself"
        time.sleep(pause_seconds * slowness * dice.uniform(0.5, 1.5))
        disturb(ground, workers, dice)
        disturbances += 1
        with suppress(DBAPIError, CommerceError):
            ground.owner_is_gone()
            ground.sweep()
        before, left = left, waiting(ground, left)
        # A busy machine needs longer for a saga than it is given: nothing would ever end.
        slowness = 1.0 if left < before else slowness * 1.2
    for worker in workers:
        worker.kill()
    ground.recover()
    ground.finish("import_page")
    return disturbances


def start_worker(ground: Ground) -> Child:
    """Starts a worker with a run of its own."""
    return ground.send("work", run_id=f"worker-{time.monotonic_ns()}")


def waiting(ground: Ground, before: int) -> int:
    """Returns how many messages are left; as many as before if the database does not answer."""
    try:
        (left,) = ground.shop.values("SELECT count(*) FROM message WHERE state <> 'done'")
    except DBAPIError:
        return before
    return int(left)
