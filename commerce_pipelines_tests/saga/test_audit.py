"""The late-arrival audit: what was absent when we looked may come later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import NeedsPerson, Unknown
from commerce_pipelines.saga.audit import Auditor, first_audit_due
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.operations import Decision, accept, resolve, retry
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.states import StepState
from commerce_pipelines_tests.saga.conftest import OpenSaga
from commerce_pipelines_tests.saga.fakes import KIND, Reserve, ReserveSealed, Shop, steps
from commerce_pipelines_tests.saga.ledger_rows import settle, states_of, status_of

DECISION = Decision("anna", "looked at it")


@pytest.fixture
def auditor(ledger: Ledger, shop: Shop) -> Auditor:
    """What audits them."""
    return Auditor(ledger, {KIND: steps(shop)})


@pytest.fixture
def absent(engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop) -> Saga:
    """A compensated saga whose request had not landed when it was looked for."""
    return lose(engine, open_saga(), compensator, Reserve(shop))


def lose(engine: Engine, saga: Saga, compensator: Compensator, step: Reserve) -> Saga:
    """Sends a request that does not land, and compensates."""
    step.shop.answer("reserve", Unknown("no answer"))
    with pytest.raises(Unknown):
        saga.take(step, {"lands": False})
    saga.abort("no answer")
    settle(engine, saga.saga_id)
    compensator.compensate(saga.saga_id, "sweep")
    return saga


def arrive(shop: Shop, saga: Saga) -> None:
    """Lets the request land after all."""
    shop.reserved[f"{saga.saga_id}-1"] = {}


def pass_time(engine: Engine, saga: Saga, **span: float) -> None:
    """Lets time pass since the effect was found absent."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE saga_step SET updated_at = updated_at - :span, audit_at = audit_at - :span
                WHERE saga_id = :id"""),
            {"span": timedelta(**span), "id": saga.saga_id},
        )


def minutes_until_audit(engine: Engine, saga: Saga) -> int | None:
    """Returns when it is looked for next; None for never."""
    with engine.connect() as connection:
        seconds: float | None = connection.execute(
            text("""
                SELECT extract(epoch FROM audit_at - now())::float8
                FROM saga_step WHERE saga_id = :id"""),
            {"id": saga.saga_id},
        ).scalar_one()
    return None if seconds is None else round(seconds / 60)


def test_an_effect_that_came_late_is_undone(
    engine: Engine, absent: Saga, auditor: Auditor, shop: Shop
) -> None:
    arrive(shop, absent)
    assert not auditor.audit_due("sweep")
    pass_time(engine, absent, minutes=1)

    assert auditor.audit_due("sweep") == {StepState.UNDONE: 1}

    assert shop.reserved == {}
    assert states_of(engine, absent.saga_id) == ["undone"]
    assert status_of(engine, absent.saga_id) == "compensated"
    assert not auditor.audit_due("sweep")


def test_an_absent_effect_is_looked_for_after_a_minute_a_quarter_of_an_hour_and_a_day(
    engine: Engine, absent: Saga, auditor: Auditor, shop: Shop
) -> None:
    looks = shop.count("look")
    assert minutes_until_audit(engine, absent) == 1
    for minutes, following in ((1, 14), (14, 1425), (1425, None)):
        pass_time(engine, absent, minutes=minutes)
        assert first_audit_due(engine) == absent.saga_id
        assert auditor.audit_due("sweep") == {StepState.ABSENT: 1}
        assert minutes_until_audit(engine, absent) == following
    assert shop.count("look") == looks + 3
    assert first_audit_due(engine) is None


def test_an_effect_that_was_sealed_out_is_not_audited(
    engine: Engine, open_saga: OpenSaga, compensator: Compensator, shop: Shop
) -> None:
    saga = lose(engine, open_saga(), compensator, ReserveSealed(shop))

    assert states_of(engine, saga.saga_id) == ["absent"]
    assert minutes_until_audit(engine, saga) is None


def test_an_audit_without_an_answer_comes_again_after_a_lease(
    engine: Engine, absent: Saga, auditor: Auditor, shop: Shop
) -> None:
    arrive(shop, absent)
    pass_time(engine, absent, minutes=1)
    shop.answer("look", Unknown("no answer"))

    assert auditor.audit_due("sweep") == {StepState.ABSENT: 1}
    assert not auditor.audit_due("sweep")

    pass_time(engine, absent, seconds=auditor.ledger.lease_seconds)
    assert auditor.audit_due("sweep") == {StepState.UNDONE: 1}


def test_a_late_effect_that_somebody_changed_is_left_alone(
    engine: Engine, absent: Saga, auditor: Auditor, shop: Shop
) -> None:
    arrive(shop, absent)
    shop.changed_later.add(f"{absent.saga_id}-1")
    pass_time(engine, absent, minutes=1)

    assert auditor.audit_due("sweep") == {StepState.SUPERSEDED: 1}
    assert len(shop.reserved) == 1


@pytest.fixture
def late_and_parked(engine: Engine, absent: Saga, auditor: Auditor, shop: Shop) -> Saga:
    """A compensated saga with a late effect that only a person can undo."""
    arrive(shop, absent)
    pass_time(engine, absent, minutes=1)
    shop.answer("undo", NeedsPerson("it was shipped"))
    assert auditor.audit_due("sweep") == {StepState.PARKED: 1}
    return absent


def test_a_late_effect_that_cannot_be_undone_waits_for_a_person(
    engine: Engine, late_and_parked: Saga
) -> None:
    assert states_of(engine, late_and_parked.saga_id) == ["parked"]
    assert status_of(engine, late_and_parked.saga_id) == "compensated"


def test_a_person_lets_the_audit_look_again(
    engine: Engine, late_and_parked: Saga, auditor: Auditor, shop: Shop
) -> None:
    with engine.begin() as connection:
        retry(connection, late_and_parked.saga_id, DECISION)

    assert auditor.audit_due("sweep") == {StepState.UNDONE: 1}
    assert shop.reserved == {}


@pytest.mark.parametrize(("decide", "state"), [(accept, "superseded"), (resolve, "undone")])
def test_a_person_ends_a_late_effect(
    engine: Engine, late_and_parked: Saga, decide: Callable[..., None], state: str
) -> None:
    with engine.begin() as connection:
        decide(connection, late_and_parked.saga_id, DECISION)

    assert states_of(engine, late_and_parked.saga_id) == [state]
    assert status_of(engine, late_and_parked.saga_id) == "compensated"
