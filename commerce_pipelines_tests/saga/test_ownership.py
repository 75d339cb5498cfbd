"""Who may write a saga: epochs, leases, and owners that freeze."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from commerce_pipelines.errors import Busy, Fenced
from commerce_pipelines.saga.compensation import Compensator, Outcome
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga, keep_alive
from commerce_pipelines_tests.saga.conftest import OpenSaga
from commerce_pipelines_tests.saga.fakes import Add, Reserve, Shop, Tally
from commerce_pipelines_tests.saga.ledger_rows import expire_lease, states_of, status_of

PLAN = {"name": "stock", "amount": 7}
DEADLINE_SECONDS = 60.0


def until(true: Callable[[], bool]) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_ops_of_one_run_share_its_saga(ledger: Ledger, open_saga: OpenSaga, tally: Tally) -> None:
    saga = open_saga(run_id="run-1")
    joined = Saga(ledger, ledger.join(saga.saga_id, "run-1"))

    saga.take(Add(), PLAN, "a")
    joined.take(Add(), PLAN, "b")

    assert tally.amount() == 14


def test_a_saga_with_a_live_owner_is_not_taken_by_another_run(
    ledger: Ledger, open_saga: OpenSaga
) -> None:
    saga = open_saga(run_id="run-1")

    with pytest.raises(Busy):
        ledger.join(saga.saga_id, "run-2")


def test_a_run_that_takes_over_fences_the_silent_owner(
    engine: Engine, ledger: Ledger, open_saga: OpenSaga, tally: Tally, shop: Shop
) -> None:
    old = open_saga(run_id="run-1")
    expire_lease(engine, old.saga_id)
    new = Saga(ledger, ledger.join(old.saga_id, "run-2"))

    for write in (
        lambda: old.take(Add(), PLAN),
        lambda: old.take(Reserve(shop), {}),
        old.succeed,
        lambda: old.abort("too late"),
    ):
        with pytest.raises(Fenced):
            write()
    assert (tally.amount(), shop.asked) == (0, [])
    new.take(Add(), PLAN)
    new.succeed()
    assert tally.amount() == 7


def test_an_owner_that_was_fenced_during_a_request_cannot_record_it(
    engine: Engine, open_saga: OpenSaga, shop: Shop, compensator: Compensator
) -> None:
    saga = open_saga()
    outcomes: list[Outcome] = []
    shop.answer(
        "reserve",
        lambda: outcomes.append(compensator.compensate(saga.saga_id, "hook", reason="failed")),
    )

    with pytest.raises(Fenced):
        saga.take(Reserve(shop), {})

    assert outcomes == [Outcome.LATER]
    assert states_of(engine, saga.saga_id) == ["intended"]


def test_a_live_saga_is_left_alone_by_the_sweep(
    engine: Engine, ledger: Ledger, open_saga: OpenSaga, compensator: Compensator
) -> None:
    saga = open_saga()

    assert ledger.due() == []
    assert compensator.compensate(saga.saga_id, "sweep") is Outcome.NOT_OURS
    assert status_of(engine, saga.saga_id) == "running"


def test_a_saga_whose_owner_is_silent_is_undone_by_the_sweep(
    engine: Engine, ledger: Ledger, open_saga: OpenSaga, compensator: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), PLAN)
    expire_lease(engine, saga.saga_id)

    assert ledger.due() == [saga.saga_id]
    assert compensator.compensate(saga.saga_id, "sweep") is Outcome.COMPENSATED
    assert tally.amount() == 0
    assert ledger.due() == []


def test_a_compensator_that_is_taken_over_stops(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    saga.take(Reserve(shop), {}, "a")
    saga.take(Reserve(shop), {}, "b")
    saga.abort("failed")
    taken_over: list[Outcome] = []

    def freeze_and_be_taken_over() -> None:
        expire_lease(engine, saga.saga_id)
        taken_over.append(compensator.compensate(saga.saga_id, "other"))

    shop.answer("undo", freeze_and_be_taken_over)

    with pytest.raises(Fenced):
        compensator.compensate(saga.saga_id, "frozen")
    assert taken_over == [Outcome.COMPENSATED]
    assert states_of(engine, saga.saga_id) == ["undone", "undone"]


def test_a_long_step_keeps_its_lease(engine: Engine, open_saga: OpenSaga) -> None:
    impatient = Ledger(engine, lease_seconds=0.2)
    saga = open_saga()
    with engine.begin() as connection:
        impatient.prove(connection, saga.claim)

    def lease_until() -> float:
        with engine.connect() as connection:
            query = text("SELECT extract(epoch FROM lease_until)::float8 FROM saga")
            return float(connection.execute(query).scalar_one())

    with keep_alive(impatient, saga.claim):
        for _ in range(3):
            before = lease_until()
            until(lambda before=before: lease_until() > before)  # type: ignore[misc]


def test_a_lease_is_not_renewed_by_an_owner_that_was_fenced(
    engine: Engine, ledger: Ledger, open_saga: OpenSaga
) -> None:
    saga = open_saga(run_id="run-1")
    expire_lease(engine, saga.saga_id)
    ledger.join(saga.saga_id, "run-2")
    expire_lease(engine, saga.saga_id)

    ledger.renew([saga.claim])

    assert ledger.due() == [saga.saga_id]


def test_an_owner_that_freezes_inside_a_transaction_is_cut_off(
    engine: Engine, ledger: Ledger, open_saga: OpenSaga, compensator: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), PLAN)
    frozen, thawed = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def freeze() -> None:
        try:
            with ledger.own(saga.claim) as connection:
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '500ms'"))
                frozen.set()
                thawed.wait(DEADLINE_SECONDS)
                connection.execute(text("UPDATE tally SET amount = 99"))
        except DBAPIError as error:
            failures.append(error)

    owner = threading.Thread(target=freeze)
    owner.start()
    assert frozen.wait(DEADLINE_SECONDS)
    until(
        lambda: compensator.compensate(saga.saga_id, "hook", reason="frozen") is Outcome.COMPENSATED
    )
    thawed.set()
    owner.join()

    assert len(failures) == 1
    assert tally.amount() == 0
