"""From the intent of a pivot on a saga only goes forward, whoever takes it there."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import Fenced, Refused, Unknown
from commerce_pipelines.saga import operations
from commerce_pipelines.saga.compensation import MOST_TRIES, Compensator, Outcome
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines_tests.saga.conftest import OpenSaga
from commerce_pipelines_tests.saga.fakes import (
    KIND,
    Add,
    Always,
    Killed,
    Reserve,
    Shop,
    Tally,
    die,
    steps,
)
from commerce_pipelines_tests.saga.ledger_rows import (
    expire_lease,
    make_due,
    reason_of,
    settle,
    states_of,
    status_of,
)

PLAN = {"name": "stock", "amount": 7}
WHY = Decision("anna", "by the test")


class Pay(Reserve):
    """A reservation from which there is no way back."""

    name = "shop.pay"
    is_pivot = True


def buy(saga: Saga, shop: Shop) -> None:
    """Takes all steps of a purchase that are not taken yet, and ends it."""
    saga.take(Reserve(shop), {"item": "mug"})
    saga.take(Pay(shop), {"item": "mug"})
    saga.take(Add(), PLAN)
    saga.succeed()


@pytest.fixture
def recovery(ledger: Ledger, shop: Shop) -> Compensator:
    """What undoes purchases before they are paid, and finishes them after."""
    kinds = {KIND: {**steps(shop), Pay.name: Pay(shop)}}
    finishers = {KIND: lambda saga: buy(saga, shop)}
    return Compensator(ledger, kinds, finishers, jitter=Always(1.0))


def dies_paying(saga: Saga, shop: Shop, engine: Engine) -> None:
    """Lets the owner of a purchase die while it pays."""
    shop.answer("reserve", lambda: None, die)
    with pytest.raises(Killed):
        buy(saga, shop)
    expire_lease(engine, saga.saga_id)


def test_a_purchase_is_past_its_pivot_as_soon_as_that_is_intended(
    engine: Engine, open_saga: OpenSaga, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    seen: list[object] = []
    shop.answer("reserve", lambda: seen.append(pivoted(engine)))
    shop.answer("reserve", lambda: seen.append(pivoted(engine)))

    buy(saga, shop)

    assert seen == [False, True]
    assert status_of(engine, saga.saga_id) == "succeeded"


def test_a_saga_whose_owner_died_before_its_pivot_is_undone(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Reserve(shop), {"item": "mug"})
    expire_lease(engine, saga.saga_id)

    assert recovery.compensate(saga.saga_id, "sweep") is Outcome.COMPENSATED
    assert shop.reserved == {}


@pytest.mark.parametrize("landed", [True, False])
def test_a_saga_whose_owner_died_at_its_pivot_is_finished(
    engine: Engine,
    open_saga: OpenSaga,
    shop: Shop,
    recovery: Compensator,
    tally: Tally,
    landed: bool,
) -> None:
    saga = open_saga()
    dies_paying(saga, shop, engine)
    if not landed:
        del shop.reserved[f"{saga.saga_id}-2"]

    assert recovery.ledger.due() == [saga.saga_id]
    assert recovery.compensate(saga.saga_id, "sweep") is Outcome.FINISHED

    assert sorted(shop.reserved) == [f"{saga.saga_id}-1", f"{saga.saga_id}-2"]
    assert shop.count("undo") == 0
    assert tally.amount() == 7
    assert states_of(engine, saga.saga_id) == ["done", "done", "done"]
    assert status_of(engine, saga.saga_id) == "succeeded"


def test_whoever_finishes_a_saga_fences_its_owner(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    dies_paying(saga, shop, engine)
    recovery.compensate(saga.saga_id, "sweep")

    with pytest.raises(Fenced):
        saga.take(Add(), PLAN, "again")
    assert tally.amount() == 7


def test_a_saga_given_up_past_its_pivot_is_not_undone_and_tells_nobody_that_it_failed(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    shop.answer("reserve", lambda: None, Unknown("the answer was lost"))
    told: list[object] = []
    with (
        pytest.raises(Unknown),
        Saga.joined(
            recovery.ledger, saga.saga_id, "run-1", on_failure=lambda error: told.append
        ) as joined,
    ):
        buy(joined, shop)

    assert told == []
    assert status_of(engine, saga.saga_id) == "running"
    assert reason_of(engine, saga.saga_id) == "Unknown: the answer was lost"
    assert recovery.ledger.aborting_of_run("run-1") == [saga.saga_id]
    assert recovery.compensate(saga.saga_id, "hook") is Outcome.FINISHED


def test_a_pivot_that_is_refused_was_none_and_the_saga_is_undone(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    saga.take(Reserve(shop), {"item": "mug"})
    shop.answer("reserve", Refused("no money"))
    with pytest.raises(Refused):
        saga.take(Pay(shop), {"lands": False})
    saga.abort("no money")

    assert not pivoted(engine)
    assert recovery.compensate(saga.saga_id, "hook") is Outcome.COMPENSATED
    assert shop.reserved == {}


def test_a_no_to_a_pivot_sent_again_is_put_before_a_person_for_the_first_may_have_landed(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    dies_paying(saga, shop, engine)
    shop.answer("reserve", Refused("the key is out of date"))

    assert recovery.compensate(saga.saga_id, "sweep") is Outcome.PARKED

    assert pivoted(engine)
    assert states_of(engine, saga.saga_id) == ["done", "parked"]
    assert "out of date" in reason_of(engine, saga.saga_id)


def test_finishing_is_tried_again_later_and_parked_in_the_end(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    dies_paying(saga, shop, engine)
    shop.answer("reserve", *[Unknown("away")] * MOST_TRIES)

    for _ in range(MOST_TRIES - 1):
        assert recovery.compensate(saga.saga_id, "sweep") is Outcome.LATER
        assert recovery.ledger.due() == []
        make_due(engine, saga.saga_id)

    assert recovery.compensate(saga.saga_id, "sweep") is Outcome.PARKED
    assert shop.count("undo") == 0


def test_a_saga_that_nobody_knows_how_to_finish_is_parked(
    engine: Engine, open_saga: OpenSaga, shop: Shop, compensator: Compensator, tally: Tally
) -> None:
    saga = open_saga()
    dies_paying(saga, shop, engine)

    assert compensator.compensate(saga.saga_id, "sweep") is Outcome.PARKED
    assert "knows how to finish" in reason_of(engine, saga.saga_id)


@pytest.fixture
def parked(
    engine: Engine, open_saga: OpenSaga, shop: Shop, recovery: Compensator, tally: Tally
) -> Saga:
    """A purchase whose payment is in doubt, before a person."""
    saga = open_saga()
    dies_paying(saga, shop, engine)
    shop.answer("reserve", Refused("the key is out of date"))
    recovery.compensate(saga.saga_id, "sweep")
    return saga


def test_a_retry_goes_forward_again(
    engine: Engine, parked: Saga, recovery: Compensator, shop: Shop, tally: Tally
) -> None:
    with engine.begin() as connection:
        operations.retry(connection, parked.saga_id, WHY)

    assert recovery.ledger.due() == [parked.saga_id]
    assert recovery.compensate(parked.saga_id, "sweep") is Outcome.FINISHED
    assert (tally.amount(), shop.count("undo")) == (7, 0)


@pytest.mark.parametrize("decide", [operations.accept, operations.resolve])
def test_a_person_may_say_that_it_cannot_go_forward_and_what_was_before_is_undone(
    engine: Engine, parked: Saga, recovery: Compensator, shop: Shop, decide: object
) -> None:
    with engine.begin() as connection:
        decide(connection, parked.saga_id, WHY)  # type: ignore[operator]

    assert recovery.compensate(parked.saga_id, "sweep") is Outcome.COMPENSATED
    assert sorted(shop.reserved) == [f"{parked.saga_id}-2"]
    assert status_of(engine, parked.saga_id) == "compensated"


def test_the_owner_may_go_on_past_its_pivot_itself(
    engine: Engine, open_saga: OpenSaga, shop: Shop, ledger: Ledger, tally: Tally
) -> None:
    saga = open_saga()
    dies_paying(saga, shop, engine)
    settle(engine, saga.saga_id)

    buy(Saga(ledger, ledger.join(saga.saga_id, "run-1")), shop)

    assert status_of(engine, saga.saga_id) == "succeeded"


def pivoted(engine: Engine) -> object:
    with engine.connect() as connection:
        return connection.execute(text("SELECT pivoted FROM saga")).scalar_one()
