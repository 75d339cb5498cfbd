"""What the ledger costs a step: a saga of steps that do nothing, beside bare commits."""

from __future__ import annotations

import statistics
import time
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, ExternalStep, TransactionalStep, Undo

STEPS = 300


class Nothing(TransactionalStep):
    """Changes nothing."""

    name = "bench.nothing"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Does nothing."""
        return {}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Does nothing."""
        return Undo()


class NothingElsewhere(ExternalStep):
    """Changes nothing, somewhere else."""

    name = "bench.nothing_elsewhere"
    settle_seconds = 0.0

    def act(self, plan: JSON, key: str) -> JSON:
        """Does nothing."""
        return {}

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Finds nothing."""
        return None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Does nothing."""
        return Undo()


def rows(engine: Engine) -> list[tuple[str, str, str]]:
    """Returns a row a kind of step: median and 95th percentile in milliseconds."""
    ledger = Ledger(engine)
    return [
        ("a bare commit of one row", *_figures(_commits(engine))),
        ("a step in the store", *_figures(_steps(ledger, Nothing()))),
        ("a step elsewhere, intent and result", *_figures(_steps(ledger, NothingElsewhere()))),
    ]


def _steps(ledger: Ledger, step: Any) -> list[float]:
    times = []
    for _ in range(STEPS // 3):
        saga_id = f"bench-{uuid4().hex}"
        with ledger.engine.begin() as connection:
            claim = ledger.begin(
                connection, saga_id=saga_id, kind="bench", lock_key=saga_id, run_id="bench"
            )
        with Saga.kept_alive(ledger, claim) as saga:
            for label in "abc":
                started = time.perf_counter()
                saga.take(step, {}, label)
                times.append(time.perf_counter() - started)
            saga.succeed()
    return times


def _commits(engine: Engine) -> list[float]:
    times = []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE bench_row (id int)"))
    for number in range(STEPS):
        started = time.perf_counter()
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO bench_row VALUES (:n)"), {"n": number})
        times.append(time.perf_counter() - started)
    return times


def _figures(times: list[float]) -> tuple[str, str]:
    return (
        f"{statistics.median(times) * 1e3:.1f} ms",
        f"{statistics.quantiles(times, n=20)[-1] * 1e3:.1f} ms",
    )
