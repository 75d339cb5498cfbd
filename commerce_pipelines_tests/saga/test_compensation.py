"""Undoing a saga: what, in which order, and once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import Conflict, Refused, Unknown
from commerce_pipelines.saga.compensation import Compensator, Outcome
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.saga.conftest import OpenSaga
from commerce_pipelines_tests.saga.fakes import (
    Add,
    Killed,
    Reserve,
    ReserveSealed,
    Shop,
    Tally,
    die,
)
from commerce_pipelines_tests.saga.ledger_rows import expire_lease, states_of, status_of

PLAN = {"name": "stock", "amount": 7}


def test_steps_are_undone_from_the_last_to_the_first(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Reserve(shop), {}, "a")
    saga.take(Add(), PLAN)
    saga.take(Reserve(shop), {}, "b")
    saga.abort("changed our mind")

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED

    assert [key for verb, key in shop.asked if verb == "undo"] == [
        f"{saga.saga_id}-3",
        f"{saga.saga_id}-1",
    ]
    assert (shop.reserved, tally.amount()) == ({}, 0)
    assert states_of(engine, saga.saga_id) == ["undone"] * 3
    assert status_of(engine, saga.saga_id) == "compensated"
    assert _undone_order(engine, saga.saga_id) == [3, 2, 1]


def test_the_intent_to_undo_is_in_the_ledger_before_the_undo(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    saga.take(Reserve(shop), {})
    saga.abort("failed")
    seen: list[list[str]] = []
    shop.answer("undo", lambda: seen.append(states_of(engine, saga.saga_id)))

    compensator.compensate(saga.saga_id, "hook")

    assert seen == [["undoing"]]


def test_a_saga_without_steps_is_compensated_at_once(
    open_saga: OpenSaga, compensator: Compensator
) -> None:
    saga = open_saga()
    saga.abort("nothing to do")

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED


def test_a_refused_step_needs_no_undo(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    shop.answer("reserve", Refused("sold out"))
    with pytest.raises(Refused):
        saga.take(Reserve(shop), {"lands": False})
    saga.abort("sold out")

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED
    assert shop.count("undo") == 0
    assert states_of(engine, saga.saga_id) == ["refused"]


def test_a_saga_is_compensated_once(
    open_saga: OpenSaga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), PLAN)
    saga.take(Reserve(shop), {})
    saga.abort("failed")

    outcomes = [compensator.compensate(saga.saga_id, "hook", reason="again") for _ in range(2)]

    assert outcomes == [Outcome.COMPENSATED, Outcome.NOT_OURS]
    assert (shop.count("undo"), tally.amount()) == (1, 0)


def test_a_succeeded_saga_is_never_undone(
    open_saga: OpenSaga, compensator: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), PLAN)
    saga.succeed()

    assert compensator.compensate(saga.saga_id, "person", reason="late") is Outcome.NOT_OURS
    assert tally.amount() == 7


def test_three_compensators_at_once_undo_each_step_once(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    sagas = [open_saga() for _ in range(8)]
    for saga in sagas:
        saga.take(Reserve(shop), {}, "a")
        saga.take(Reserve(shop), {}, "b")
    start = threading.Barrier(3)

    def compensate(who: str) -> list[Outcome]:
        start.wait(60)
        return [compensator.compensate(saga.saga_id, who, reason="failed") for saga in sagas]

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(compensate, ("hook", "sweep", "person")))

    assert sum(each.count(Outcome.COMPENSATED) for each in outcomes) == len(sagas)
    undone = [key for verb, key in shop.asked if verb == "undo"]
    assert sorted(undone) == sorted(f"{saga.saga_id}-{seq}" for saga in sagas for seq in (1, 2))
    assert shop.reserved == {}
    assert {status_of(engine, saga.saga_id) for saga in sagas} == {"compensated"}


def test_a_row_that_somebody_changed_later_is_left_and_reported(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), PLAN)
    tally.change_by_somebody_else()
    saga.abort("failed")

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED

    assert tally.amount() == 1000
    assert states_of(engine, saga.saga_id) == ["superseded"]
    assert _undo_report(engine, saga.saga_id) == {"restored": 0}


def test_a_reservation_that_somebody_changed_later_is_left_and_reported(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    key = str(saga.take(Reserve(shop), {})["key"])
    shop.changed_later.add(key)
    saga.abort("failed")

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED

    assert key in shop.reserved
    assert states_of(engine, saga.saga_id) == ["superseded"]


def test_an_undo_that_was_interrupted_is_done_again(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), PLAN)
    saga.take(Reserve(shop), {})
    saga.abort("failed")
    shop.answer("undo", die)
    with pytest.raises(Killed):
        compensator.compensate(saga.saga_id, "killed")
    assert states_of(engine, saga.saga_id) == ["done", "undoing"]
    assert compensator.compensate(saga.saga_id, "too early") is Outcome.NOT_OURS

    expire_lease(engine, saga.saga_id)
    assert compensator.compensate(saga.saga_id, "sweep") is Outcome.COMPENSATED

    assert (shop.reserved, tally.amount()) == ({}, 0)


def test_a_run_cannot_go_on_with_a_saga_that_is_being_undone(
    ledger: Ledger, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga(run_id="run-1")
    saga.take(Reserve(shop), {})
    saga.abort("failed")
    shop.answer("undo", Unknown("no answer"))
    assert compensator.compensate(saga.saga_id, "hook") is Outcome.LATER

    with pytest.raises(Conflict, match="Start a new run"):
        ledger.join(saga.saga_id, "run-1")


def test_the_sagas_that_a_run_gave_up_are_found_by_the_run(
    ledger: Ledger, open_saga: OpenSaga
) -> None:
    given_up, other, working = (open_saga(run_id=run) for run in ("run-1", "run-2", "run-1"))
    given_up.abort("failed")
    other.abort("failed")

    assert ledger.aborting_of_run("run-1") == [given_up.saga_id]
    assert working.saga_id not in ledger.due()
    assert ledger.due() == sorted([given_up.saga_id, other.saga_id])


def test_sagas_that_rest_do_not_keep_others_from_being_found(
    engine: Engine, ledger: Ledger, open_saga: OpenSaga
) -> None:
    sagas = [open_saga() for _ in range(4)]
    for saga in sagas:
        saga.abort("failed")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE saga SET next_try_at = now() + interval '1 hour' WHERE saga_id <> :id"),
            {"id": sagas[3].saga_id},
        )

    assert ledger.due(limit=1) == [sagas[3].saga_id]


def test_both_kinds_of_steps_are_found_by_their_names(
    open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    saga.take(Reserve(shop), {})
    saga.take(ReserveSealed(shop), {})
    saga.abort("failed")

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED
    assert shop.reserved == {}


def _undone_order(engine: Engine, saga_id: str) -> list[object]:
    return _scalars(
        engine, "SELECT seq FROM saga_event", saga_id, "AND what = 'undone' ORDER BY id"
    )


def _undo_report(engine: Engine, saga_id: str) -> object:
    (report,) = _scalars(engine, "SELECT undo_result FROM saga_step", saga_id)
    return report


def _scalars(engine: Engine, query: str, saga_id: str, more: str = "") -> list[object]:
    with engine.connect() as connection:
        found = connection.execute(text(f"{query} WHERE saga_id = :id {more}"), {"id": saga_id})
        return list(found.scalars())
