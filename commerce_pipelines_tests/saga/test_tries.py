"""An undo that does not work: again later, then a person."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import Busy, Conflict, NeedsPerson, Refused, Unavailable, Unknown
from commerce_pipelines.saga.compensation import MOST_TRIES, Compensator, Outcome
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines_tests.saga.conftest import OpenSaga
from commerce_pipelines_tests.saga.fakes import KIND, Add, Always, Reserve, Shop, Tally, steps
from commerce_pipelines_tests.saga.ledger_rows import (
    make_due,
    reason_of,
    seconds_until_next_try,
    states_of,
    status_of,
)

CLOCK_SLACK_SECONDS = 30.0


@pytest.fixture
def given_up(open_saga: OpenSaga, shop: Shop, tally: Tally) -> Saga:
    """A saga with a row changed, then a reservation, that waits to be undone."""
    saga = open_saga()
    saga.take(Add(), {"name": "stock", "amount": 7})
    saga.take(Reserve(shop), {})
    saga.abort("failed")
    return saga


def test_an_undo_without_an_answer_is_tried_again(
    engine: Engine, given_up: Saga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    shop.answer("undo", Unavailable("away"))

    assert compensator.compensate(given_up.saga_id, "hook") is Outcome.LATER
    assert states_of(engine, given_up.saga_id) == ["done", "undoing"]
    assert tally.amount() == 7

    make_due(engine, given_up.saga_id)
    assert compensator.compensate(given_up.saga_id, "sweep") is Outcome.COMPENSATED
    assert (shop.reserved, tally.amount()) == ({}, 0)


def test_a_saga_that_rests_is_left_alone_until_it_is_due(
    ledger: Ledger, given_up: Saga, compensator: Compensator, shop: Shop
) -> None:
    shop.answer("undo", Unavailable("away", retry_after_seconds=600))
    compensator.compensate(given_up.saga_id, "hook")

    assert ledger.due() == []
    assert compensator.compensate(given_up.saga_id, "sweep") is Outcome.NOT_OURS
    assert shop.count("undo") == 1


def test_delays_double_until_the_longest(
    engine: Engine, given_up: Saga, compensator: Compensator, shop: Shop
) -> None:
    shop.answer("undo", *(Unavailable("away") for _ in range(MOST_TRIES)))

    delays = []
    for _ in range(MOST_TRIES - 1):
        assert compensator.compensate(given_up.saga_id, "sweep") is Outcome.LATER
        delays.append(seconds_until_next_try(engine, given_up.saga_id))
        make_due(engine, given_up.saga_id)

    planned = [min(2.0**tries, 900.0) for tries in range(MOST_TRIES - 1)]
    for delay, longest in zip(delays, planned, strict=True):
        assert longest - CLOCK_SLACK_SECONDS < delay <= longest


def test_delays_are_drawn_between_nothing_and_the_longest(
    engine: Engine, given_up: Saga, ledger: Ledger, shop: Shop
) -> None:
    shop.answer("undo", Unavailable("away"))
    lucky = Compensator(ledger, {KIND: steps(shop)}, jitter=Always(0.0))

    lucky.compensate(given_up.saga_id, "hook")

    assert seconds_until_next_try(engine, given_up.saga_id) <= 0


def test_the_other_side_may_ask_for_a_longer_delay(
    engine: Engine, given_up: Saga, compensator: Compensator, shop: Shop
) -> None:
    shop.answer("undo", Unavailable("away", retry_after_seconds=600))

    compensator.compensate(given_up.saga_id, "hook")

    delay = seconds_until_next_try(engine, given_up.saga_id)
    assert 600 - CLOCK_SLACK_SECONDS < delay <= 600


@pytest.mark.parametrize(
    "error", [Unknown("lost"), Unavailable("away"), Busy("locked"), KeyError("a mistake of ours")]
)
def test_what_never_works_is_parked_after_the_last_try(
    engine: Engine,
    given_up: Saga,
    compensator: Compensator,
    shop: Shop,
    tally: Tally,
    error: Exception,
) -> None:
    shop.answer("undo", *[error] * MOST_TRIES)

    outcomes = []
    for _ in range(MOST_TRIES):
        outcomes.append(compensator.compensate(given_up.saga_id, "sweep"))
        make_due(engine, given_up.saga_id)

    assert outcomes == [Outcome.LATER] * (MOST_TRIES - 1) + [Outcome.PARKED]
    assert states_of(engine, given_up.saga_id) == ["done", "parked"]
    assert status_of(engine, given_up.saga_id) == "parked"
    assert type(error).__name__ in _error_of_parked_step(engine)
    assert "shop.reserve" in reason_of(engine, given_up.saga_id)
    assert tally.amount() == 7


@pytest.mark.parametrize("error", [NeedsPerson("shipped"), Refused("no"), Conflict("newer")])
def test_what_only_a_person_can_decide_is_parked_at_once(
    engine: Engine,
    given_up: Saga,
    compensator: Compensator,
    shop: Shop,
    tally: Tally,
    error: Exception,
) -> None:
    shop.answer("undo", error)

    assert compensator.compensate(given_up.saga_id, "hook") is Outcome.PARKED

    assert _error_of_parked_step(engine) == f"{type(error).__name__}: {error}"
    assert tally.amount() == 7
    assert compensator.compensate(given_up.saga_id, "hook", reason="x") is Outcome.NOT_OURS


def test_a_parked_saga_still_holds_its_aggregate(
    given_up: Saga, compensator: Compensator, shop: Shop, open_saga: OpenSaga
) -> None:
    shop.answer("undo", NeedsPerson("shipped"))
    compensator.compensate(given_up.saga_id, "hook")

    with pytest.raises(Busy):
        open_saga(lock_key="order-1")


def test_a_saga_of_an_unknown_kind_is_parked(
    engine: Engine, given_up: Saga, ledger: Ledger, shop: Shop
) -> None:
    ignorant = Compensator(ledger, {"refund": steps(shop)})

    assert ignorant.compensate(given_up.saga_id, "hook") is Outcome.PARKED
    assert "No undo is known for purchase/shop.reserve" in reason_of(engine, given_up.saga_id)


def test_a_parked_saga_goes_on_once_a_person_has_freed_it(
    engine: Engine, given_up: Saga, compensator: Compensator, shop: Shop, tally: Tally
) -> None:
    shop.answer("undo", NeedsPerson("shipped"))
    compensator.compensate(given_up.saga_id, "hook")

    with engine.begin() as connection:
        connection.execute(text("UPDATE saga_step SET state = 'undoing' WHERE state = 'parked'"))
        connection.execute(text("UPDATE saga SET status = 'aborting'"))
    assert compensator.compensate(given_up.saga_id, "person") is Outcome.COMPENSATED
    assert (shop.reserved, tally.amount()) == ({}, 0)


def _error_of_parked_step(engine: Engine) -> str:
    with engine.connect() as connection:
        query = text("SELECT error FROM saga_step WHERE state = 'parked'")
        return str(connection.execute(query).scalar_one())
