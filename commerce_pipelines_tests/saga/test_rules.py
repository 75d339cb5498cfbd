"""The rules of the ledger hold for every writer, also for one with plain SQL."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from commerce_pipelines.saga.states import SagaStatus, StepState

STEP_MOVES = {
    "intended": {"done", "refused", "absent", "parked"},
    "done": {"undoing", "parked"},
    "undoing": {"undone", "superseded", "parked"},
    "parked": {"intended", "undoing", "undone", "superseded", "absent"},
    "absent": {"undone", "superseded", "parked"},
    "refused": set(),
    "undone": set(),
    "superseded": set(),
}
TRANSACTIONAL_STEP_MOVES = STEP_MOVES | {
    "done": {"undoing", "parked", "undone", "superseded"},
}
SAGA_MOVES = {
    "running": {"succeeded", "aborting", "parked"},
    "aborting": {"compensated", "parked"},
    "parked": {"aborting", "running"},
    "succeeded": set(),
    "compensated": set(),
}


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A transaction that is rolled back after the test."""
    with engine.connect() as connection:
        yield connection


def insert_saga(connection: Connection, status: str = "aborting", saga_id: str = "s") -> None:
    """Writes a saga in any state."""
    connection.execute(
        text("""
            INSERT INTO saga (saga_id, kind, lock_key, status, epoch, finished_at)
            VALUES (:id, 'kind', :id, :status, 3,
                    CASE WHEN :status IN ('succeeded', 'compensated') THEN now() END)"""),
        {"id": saga_id, "status": status},
    )


def insert_step(connection: Connection, state: str, *, seq: int = 1, local: bool = False) -> None:
    """Writes a step in any state."""
    connection.execute(
        text("""
            INSERT INTO saga_step (saga_id, seq, name, label, idem_key, transactional, state,
                                   plan, result, error, intent_epoch, settle_at)
            VALUES ('s', :seq, 'step', :seq, 's-' || :seq, :local, :state,
                    '{}', '{}', 'none', 1, now())"""),
        {"seq": seq, "state": state, "local": local},
    )


def move_step(connection: Connection, state: str, seq: int = 1) -> bool:
    """Tells whether the database takes a step's move."""
    return takes(
        connection, f"UPDATE saga_step SET state = '{state}' WHERE saga_id = 's' AND seq = {seq}"
    )


def move_saga(connection: Connection, status: str) -> bool:
    """Tells whether the database takes a saga's move."""
    finished = "now()" if status in ("succeeded", "compensated") else "NULL"
    return takes(
        connection,
        f"UPDATE saga SET status = '{status}', finished_at = {finished} WHERE saga_id = 's'",
    )


def takes(connection: Connection, statement: str) -> bool:
    """Tries a statement and takes it back."""
    savepoint = connection.begin_nested()
    try:
        connection.execute(text(statement))
    except IntegrityError:
        return False
    finally:
        savepoint.rollback()
    return True


@pytest.mark.parametrize("local", [False, True])
def test_a_step_makes_the_listed_moves_and_no_other(connection: Connection, local: bool) -> None:
    allowed = TRANSACTIONAL_STEP_MOVES if local else STEP_MOVES
    states = [state for state in StepState if not (local and state is StepState.INTENDED)]
    insert_saga(connection)
    taken: dict[str, set[str]] = {}

    for seq, (old, new) in enumerate(product(states, states)):
        savepoint = connection.begin_nested()
        insert_step(connection, old, seq=seq, local=local)
        if old is not new and move_step(connection, new, seq):
            taken.setdefault(old, set()).add(new)
        savepoint.rollback()

    assert taken == {
        old: {new for new in news if new in states}
        for old, news in allowed.items()
        if news and old in states
    }


def test_a_saga_makes_the_listed_moves_and_no_other(connection: Connection) -> None:
    taken: dict[str, set[str]] = {}

    for old, new in product(SagaStatus, SagaStatus):
        savepoint = connection.begin_nested()
        insert_saga(connection, old)
        if old is not new and move_saga(connection, new):
            taken.setdefault(old, set()).add(new)
        savepoint.rollback()

    assert taken == {old: news for old, news in SAGA_MOVES.items() if news}


@pytest.mark.parametrize("later", ["intended", "done", "undoing", "parked"])
def test_no_step_is_undone_before_the_steps_after_it(connection: Connection, later: str) -> None:
    insert_saga(connection)
    insert_step(connection, "done", seq=1, local=True)
    insert_step(connection, "undoing", seq=2)
    insert_step(connection, later, seq=3)

    assert not move_step(connection, "undone", seq=1)
    assert not move_step(connection, "undoing", seq=1)
    assert not move_step(connection, "undone", seq=2)


@pytest.mark.parametrize("later", ["refused", "absent", "undone", "superseded"])
def test_a_step_is_undone_after_the_steps_behind_it(connection: Connection, later: str) -> None:
    insert_saga(connection)
    insert_step(connection, "done", seq=1, local=True)
    insert_step(connection, later, seq=2)

    assert move_step(connection, "undone", seq=1)


@pytest.mark.parametrize(
    ("state", "may_succeed", "may_be_compensated"),
    [
        ("intended", False, False),
        ("done", True, False),
        ("refused", True, True),
        ("absent", False, True),
        ("undoing", False, False),
        ("undone", False, True),
        ("superseded", False, True),
        ("parked", False, False),
    ],
)
def test_a_saga_ends_only_when_its_steps_allow_it(
    connection: Connection, state: str, may_succeed: bool, may_be_compensated: bool
) -> None:
    insert_saga(connection, "running")
    insert_step(connection, state)

    assert move_saga(connection, "succeeded") == may_succeed
    connection.execute(text("UPDATE saga SET status = 'aborting'"))
    assert move_saga(connection, "compensated") == may_be_compensated


def test_an_epoch_never_goes_down(connection: Connection) -> None:
    insert_saga(connection)

    assert not takes(connection, "UPDATE saga SET epoch = 2")
    assert takes(connection, "UPDATE saga SET epoch = 4")


def test_a_saga_past_its_point_of_no_return_is_never_undone(connection: Connection) -> None:
    insert_saga(connection, "running")
    connection.execute(text("UPDATE saga SET pivoted = true"))

    assert not move_saga(connection, "aborting")
    assert move_saga(connection, "parked")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE saga SET finished_at = now()",
        "UPDATE saga SET holder = 'nobody'",
        "UPDATE saga SET status = 'lost'",
        "UPDATE saga_step SET state = 'lost'",
        "UPDATE saga_step SET result = NULL",
        "UPDATE saga_step SET settle_at = NULL",
    ],
)
def test_no_row_contradicts_itself(connection: Connection, change: str) -> None:
    insert_saga(connection)
    insert_step(connection, "done")

    assert not takes(connection, change)


def test_one_live_saga_of_a_kind_on_an_aggregate(connection: Connection) -> None:
    insert_saga(connection, "parked")

    second = "INSERT INTO saga (saga_id, kind, lock_key) VALUES ('t', '{}', 's')"
    assert not takes(connection, second.format("kind"))
    assert takes(connection, second.format("other"))


def test_every_move_and_try_is_an_event_that_cannot_be_rewritten(connection: Connection) -> None:
    insert_saga(connection, "running")
    insert_step(connection, "done")
    connection.execute(text("UPDATE saga SET status = 'aborting', epoch = 4"))
    connection.execute(text("UPDATE saga_step SET state = 'undoing'"))
    connection.execute(text("UPDATE saga_step SET undo_tries = 1"))

    events = connection.execute(text("SELECT seq, what, epoch FROM saga_event ORDER BY id")).all()
    assert [tuple(event) for event in events] == [
        (None, "running", 3),
        (1, "done", 3),
        (None, "aborting", 4),
        (1, "undoing", 4),
        (1, "undoing", 4),
    ]
    assert not takes(connection, "UPDATE saga_event SET what = 'nothing'")
