"""Sagas over a shop elsewhere and a table here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import Engine

from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines_tests.saga.fakes import KIND, Always, Shop, Tally, steps

OpenSaga = Callable[..., Saga]


@pytest.fixture
def shop() -> Shop:
    """A shop in which nothing is reserved."""
    return Shop()


@pytest.fixture
def tally(engine: Engine) -> Iterator[Tally]:
    """A table with an empty stock."""
    tally = Tally(engine)
    tally.create()
    yield tally
    tally.drop()


@pytest.fixture
def open_saga(ledger: Ledger) -> OpenSaga:
    """Opens sagas in the hands of a run, each on an aggregate of its own."""
    numbers = count(1)

    def opened(kind: str = KIND, lock_key: str | None = None, run_id: str = "run-1") -> Saga:
        number = next(numbers)
        with ledger.engine.begin() as connection:
            claim = ledger.begin(
                connection,
                saga_id=f"{kind}-{number}",
                kind=kind,
                lock_key=lock_key or f"order-{number}",
                run_id=run_id,
            )
        return Saga(ledger, claim)

    return opened


@pytest.fixture
def compensator(ledger: Ledger, shop: Shop) -> Compensator:
    """What undoes them; its delays are always the longest."""
    return Compensator(ledger, {KIND: steps(shop)}, jitter=Always(1.0))
