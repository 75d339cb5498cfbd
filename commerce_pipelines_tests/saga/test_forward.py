"""A run takes the steps of its saga."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import Busy, Conflict, Refused, Unavailable, Unknown
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON
from commerce_pipelines_tests.saga.conftest import OpenSaga
from commerce_pipelines_tests.saga.fakes import KIND, Add, Reserve, ReserveSealed, Shop, Tally
from commerce_pipelines_tests.saga.ledger_rows import states_of, status_of

PLAN = {"name": "stock", "amount": 7}


def test_a_saga_succeeds_once_all_its_steps_are_done(
    engine: Engine, open_saga: OpenSaga, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()

    assert saga.take(Add(), PLAN) == {"version": 2}
    assert saga.take(Reserve(shop), {"item": "mug"}) == {"key": f"{saga.saga_id}-2"}
    saga.succeed()

    assert tally.amount() == 7
    assert shop.reserved == {f"{saga.saga_id}-2": {"item": "mug"}}
    assert states_of(engine, saga.saga_id) == ["done", "done"]
    assert status_of(engine, saga.saga_id) == "succeeded"


def test_the_intent_is_in_the_ledger_before_the_request_is_sent(
    engine: Engine, open_saga: OpenSaga, shop: Shop
) -> None:
    saga = open_saga()
    seen: list[list[str]] = []
    shop.answer("reserve", lambda: seen.append(states_of(engine, saga.saga_id)))

    saga.take(Reserve(shop), {"item": "mug"})

    assert seen == [["intended"]]


def test_a_step_that_is_done_is_not_taken_again(
    open_saga: OpenSaga, shop: Shop, tally: Tally
) -> None:
    saga = open_saga()
    first = saga.take(Reserve(shop), {"item": "mug"}), saga.take(Add(), PLAN)

    again = saga.take(Reserve(shop), {"item": "other"}), saga.take(Add(), PLAN)

    assert again == first
    assert shop.count("reserve") == 1
    assert tally.amount() == 7


def test_steps_of_one_kind_are_told_apart_by_their_label(
    engine: Engine, open_saga: OpenSaga, tally: Tally
) -> None:
    saga = open_saga()

    saga.take(Add(), PLAN, "a")
    saga.take(Add(), PLAN, "b")

    assert tally.amount() == 14
    assert states_of(engine, saga.saga_id) == ["done", "done"]


def test_a_step_in_doubt_is_sent_again_with_the_plan_it_had(
    engine: Engine, open_saga: OpenSaga, shop: Shop, ledger: Ledger
) -> None:
    saga = open_saga()
    shop.answer("reserve", Unknown("the answer was lost"))
    with pytest.raises(Unknown):
        saga.take(Reserve(shop), {"item": "mug", "price": 1})
    assert states_of(engine, saga.saga_id) == ["intended"]

    def never_asked() -> JSON:
        raise AssertionError("the plan was made anew")

    resumed = Saga(ledger, ledger.join(saga.saga_id, "run-1"))
    resumed.take(Reserve(shop), never_asked)

    assert shop.sent_plans == [{"item": "mug", "price": 1}] * 2
    assert len({key for _, key in shop.asked}) == 1
    assert len(shop.reserved) == 1
    assert states_of(engine, saga.saga_id) == ["done"]


def test_a_step_that_was_refused_had_no_effect_and_is_not_sent_again(
    engine: Engine, open_saga: OpenSaga, shop: Shop
) -> None:
    saga = open_saga()
    shop.answer("reserve", Refused("sold out"))
    with pytest.raises(Refused, match="sold out"):
        saga.take(Reserve(shop), {"lands": False})
    assert states_of(engine, saga.saga_id) == ["refused"]

    with pytest.raises(Conflict, match="sold out"):
        saga.take(Reserve(shop), {"lands": False})
    assert shop.count("reserve") == 1


@pytest.mark.parametrize(
    ("kind", "landed", "state"),
    [
        (Reserve, True, "intended"),
        (Reserve, False, "intended"),
        (ReserveSealed, True, "intended"),
        (ReserveSealed, False, "refused"),
    ],
)
def test_a_no_to_a_step_sent_again_tells_nothing_of_the_first_time(
    engine: Engine,
    open_saga: OpenSaga,
    shop: Shop,
    kind: type[Reserve],
    landed: bool,
    state: str,
) -> None:
    saga = open_saga()
    shop.answer("reserve", Unknown("the answer was lost"), Refused("the key is out of date"))
    with pytest.raises(Unknown):
        saga.take(kind(shop), {"lands": landed})
    with pytest.raises(Refused):
        saga.take(kind(shop), {"lands": landed})

    assert states_of(engine, saga.saga_id) == [state]


def test_a_saga_may_succeed_with_a_refused_step(
    engine: Engine, open_saga: OpenSaga, shop: Shop
) -> None:
    saga = open_saga()
    shop.answer("reserve", Refused("sold out"))
    with pytest.raises(Refused):
        saga.take(Reserve(shop), {"lands": False}, "first choice")
    saga.take(Reserve(shop), {}, "second choice")

    saga.succeed()

    assert status_of(engine, saga.saga_id) == "succeeded"


@pytest.mark.parametrize("error", [Unknown("lost"), Unavailable("away"), KeyError("a mistake")])
def test_any_other_failure_leaves_the_step_in_doubt(
    engine: Engine, open_saga: OpenSaga, shop: Shop, error: Exception
) -> None:
    saga = open_saga()
    shop.answer("reserve", error)

    with pytest.raises(type(error)):
        saga.take(Reserve(shop), {})

    assert states_of(engine, saga.saga_id) == ["intended"]


def test_a_transactional_step_that_fails_leaves_nothing(
    engine: Engine, open_saga: OpenSaga, tally: Tally
) -> None:
    class AddAndFail(Add):
        def act(self, connection, saga_id, plan):  # type: ignore[no-untyped-def]
            super().act(connection, saga_id, plan)
            raise Conflict("the stock is counted just now")

    saga = open_saga()

    with pytest.raises(Conflict):
        saga.take(AddAndFail(), PLAN)

    assert tally.amount() == 0
    assert states_of(engine, saga.saga_id) == []


def test_success_and_what_goes_with_it_are_one_commit(
    engine: Engine, open_saga: OpenSaga, tally: Tally
) -> None:
    saga = open_saga()
    with pytest.raises(ZeroDivisionError):
        saga.succeed(also=lambda connection: [connection.execute(_SET_ONE), 1 / 0])  # type: ignore[arg-type]
    assert (status_of(engine, saga.saga_id), tally.amount()) == ("running", 0)

    saga.succeed(also=lambda connection: [connection.execute(_SET_ONE)])  # type: ignore[arg-type]
    assert (status_of(engine, saga.saga_id), tally.amount()) == ("succeeded", 1)


_SET_ONE = text("UPDATE tally SET amount = 1")


def test_only_one_saga_of_a_kind_lives_on_an_aggregate(open_saga: OpenSaga) -> None:
    first = open_saga(lock_key="order-7")

    with pytest.raises(Busy, match="order-7"):
        open_saga(lock_key="order-7")
    open_saga(kind="refund", lock_key="order-7")
    first.succeed()
    open_saga(lock_key="order-7")


def test_a_finished_saga_cannot_be_joined(ledger: Ledger, open_saga: OpenSaga) -> None:
    saga = open_saga()
    saga.succeed()

    with pytest.raises(Conflict, match="Start a new run"):
        ledger.join(saga.saga_id, "run-1")
    with pytest.raises(Conflict, match="gone"):
        ledger.join(f"{KIND}-unknown", "run-1")
