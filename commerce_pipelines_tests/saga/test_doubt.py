"""A step in doubt: its request was sent, and nobody knows what came of it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from commerce_pipelines.errors import Unknown
from commerce_pipelines.saga.compensation import Compensator, Outcome
from commerce_pipelines.saga.saga import Saga
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
from commerce_pipelines_tests.saga.ledger_rows import (
    make_due,
    seconds_until_next_try,
    settle,
    states_of,
)


def doubt(saga: Saga, step: Reserve, *, lands: bool) -> None:
    """Sends a request without an answer and gives the saga up."""
    step.shop.answer("reserve", Unknown("no answer"))
    with pytest.raises(Unknown):
        saga.take(step, {"lands": lands})
    saga.abort("no answer")


def test_an_effect_that_landed_is_undone(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    doubt(saga, ReserveSealed(shop), lands=True)

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED

    assert [verb for verb, _ in shop.asked] == ["reserve", "look", "undo"]
    assert shop.reserved == {}
    assert states_of(engine, saga.saga_id) == ["undone"]


def test_an_effect_that_is_absent_is_not_undone(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    doubt(saga, ReserveSealed(shop), lands=False)

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED

    assert [verb for verb, _ in shop.asked] == ["reserve", "look"]
    assert states_of(engine, saga.saga_id) == ["absent"]


def test_a_step_that_cannot_be_sealed_is_not_judged_before_it_has_settled(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), {"name": "stock", "amount": 7})
    doubt(saga, Reserve(shop), lands=True)

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.LATER

    assert shop.count("look") == 0
    assert states_of(engine, saga.saga_id) == ["done", "intended"]
    assert tally.amount() == 7
    assert 0 < seconds_until_next_try(engine, saga.saga_id) <= Reserve.settle_seconds


def test_a_step_that_has_settled_is_judged_by_a_look(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    landed, lost = open_saga(), open_saga()
    doubt(landed, Reserve(shop), lands=True)
    doubt(lost, Reserve(shop), lands=False)

    for saga, state in ((landed, "undone"), (lost, "absent")):
        settle(engine, saga.saga_id)
        assert compensator.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED
        assert states_of(engine, saga.saga_id) == [state]
    assert shop.reserved == {}


def test_a_look_without_an_answer_leaves_the_doubt(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = open_saga()
    doubt(saga, ReserveSealed(shop), lands=True)
    shop.answer("look", Unknown("no answer either"))

    assert compensator.compensate(saga.saga_id, "hook") is Outcome.LATER
    assert states_of(engine, saga.saga_id) == ["intended"]

    make_due(engine, saga.saga_id)
    assert compensator.compensate(saga.saga_id, "sweep") is Outcome.COMPENSATED
    assert shop.reserved == {}


def test_a_run_killed_during_its_request_is_undone_like_one_without_an_answer(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Add(), {"name": "stock", "amount": 7})
    shop.answer("reserve", die)
    with pytest.raises(Killed):
        saga.take(ReserveSealed(shop), {})

    outcome = compensator.compensate(saga.saga_id, "hook", reason="the run was killed")

    assert outcome is Outcome.COMPENSATED
    assert (shop.reserved, tally.amount()) == ({}, 0)
    assert states_of(engine, saga.saga_id) == ["undone", "undone"]
