"""What a person asks of the ledger: what is half-done, and deciding about it.

    retry     the parked step is tried again
    accept    what is there now is right: the step is left as it is (superseded)
    resolve   the step was undone by hand

Each raises the epoch of a parked saga, so that nobody who worked on it before
goes on, and is recorded with who and why. When no step is parked any more the
compensation undoes the rest. Past its pivot a saga goes forward again by a retry;
the other two say that it cannot, so that the steps before the pivot are undone.
A step that the late-arrival audit parked belongs to a saga that is compensated
and stays so; a retry lets the audit look again.
Does not belong here: undoing (`compensation`, `audit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from commerce_pipelines.errors import Conflict, NotFound
from commerce_pipelines.saga.states import SagaStatus, StepState
from commerce_pipelines.saga.step import JSON


def count_sagas(connection: Connection) -> dict[str, int]:
    """Returns how many sagas have each status that any has."""
    rows = connection.execute(
        text("SELECT status, count(*) AS sagas FROM saga GROUP BY status ORDER BY status")
    )
    return {row.status: row.sagas for row in rows}


def list_sagas(connection: Connection, statuses: Sequence[str] = (), limit: int = 50) -> list[JSON]:
    """Returns sagas, unfinished ones and those with parked steps first, then the newest.

    Args:
        connection: The ledger.
        statuses: Only these; none for all.
        limit: At most so many.
    """
    rows = connection.execute(_LIST, {"statuses": list(statuses), "limit": limit})
    return [dict(row) for row in rows.mappings()]


def load_saga(connection: Connection, saga_id: str) -> JSON:
    """Returns a saga with its steps and events, all that the ledger knows.

    Raises:
        NotFound: There is no such saga.
    """
    names = {"saga_id": saga_id}
    saga = (
        connection.execute(text("SELECT * FROM saga WHERE saga_id = :saga_id"), names)
        .mappings()
        .one_or_none()
    )
    if saga is None:
        raise NotFound(f"There is no saga {saga_id}; see `commerce-pipelines sagas list`.")
    steps = connection.execute(
        text("SELECT * FROM saga_step WHERE saga_id = :saga_id ORDER BY seq"), names
    ).mappings()
    events = connection.execute(
        text("""
            SELECT at, seq, what, epoch, who, note FROM saga_event
            WHERE saga_id = :saga_id ORDER BY id"""),
        names,
    ).mappings()
    return {**saga, "steps": [dict(row) for row in steps], "events": [dict(row) for row in events]}


def status_of(connection: Connection, saga_id: str) -> str:
    """Returns a saga's status."""
    return str(
        connection.execute(
            text("SELECT status FROM saga WHERE saga_id = :saga_id"), {"saga_id": saga_id}
        ).scalar_one()
    )


@dataclass(frozen=True)
class Decision:
    """Who decided, and why."""

    who: str
    reason: str


def retry(connection: Connection, saga_id: str, decision: Decision) -> None:
    """Lets the compensation try a parked saga again, from now on.

    Raises:
        NotFound: There is no such saga.
        Conflict: It is not parked.
    """
    epoch, parked = _lock(connection, saga_id)
    for step in parked[:1]:
        # Below it nothing may be undone yet; the compensation comes to the others by itself.
        connection.execute(_TRY_STEP_AGAIN, {"saga_id": saga_id, "seq": step.seq})
    _note(connection, saga_id, decision, what="retry", epoch=epoch, seq=None)
    connection.execute(_RELEASE, {"saga_id": saga_id, "retried": True})


def accept(
    connection: Connection, saga_id: str, decision: Decision, seq: int | None = None
) -> None:
    """Leaves parked steps as they are: what is there now is right.

    Args:
        connection: An open transaction.
        saga_id: The saga.
        decision: Who and why.
        seq: Only this step; None for every parked one.

    Raises:
        NotFound: There is no such saga.
        Conflict: It is not parked, or has no such parked step.
    """
    _settle(connection, saga_id, decision, seq, StepState.SUPERSEDED)


def resolve(
    connection: Connection, saga_id: str, decision: Decision, seq: int | None = None
) -> None:
    """Notes that parked steps were undone by hand.

    Args:
        connection: An open transaction.
        saga_id: The saga.
        decision: Who, and what was done.
        seq: Only this step; None for every parked one.

    Raises:
        NotFound: There is no such saga.
        Conflict: It is not parked, or has no such parked step.
    """
    _settle(connection, saga_id, decision, seq, StepState.UNDONE)


def _settle(
    connection: Connection, saga_id: str, decision: Decision, seq: int | None, state: StepState
) -> None:
    epoch, parked = _lock(connection, saga_id)
    chosen = [step for step in parked if seq in (None, step.seq)]
    if not chosen:
        wanted = "parked step" if seq is None else f"parked step {seq}"
        raise Conflict(f"Saga {saga_id} has no {wanted}; see `commerce-pipelines sagas show`.")
    for step in chosen:
        connection.execute(_SETTLE_STEP, {"saga_id": saga_id, "seq": step.seq, "state": state})
        what = "accept" if state is StepState.SUPERSEDED else "resolve"
        _note(connection, saga_id, decision, what=what, epoch=epoch, seq=step.seq)
    if len(chosen) == len(parked):
        connection.execute(_RELEASE, {"saga_id": saga_id, "retried": False})


def _lock(connection: Connection, saga_id: str) -> tuple[int, list[Row[Any]]]:
    """Returns a parked saga's next epoch and its parked steps, the last one first."""
    names = {"saga_id": saga_id}
    saga = connection.execute(
        text("SELECT status, epoch FROM saga WHERE saga_id = :saga_id FOR UPDATE"), names
    ).one_or_none()
    if saga is None:
        raise NotFound(f"There is no saga {saga_id}; see `commerce-pipelines sagas list`.")
    steps = connection.execute(
        text("""
            SELECT seq FROM saga_step WHERE saga_id = :saga_id AND state = 'parked'
            ORDER BY seq DESC"""),
        names,
    ).all()
    if saga.status != SagaStatus.PARKED and not steps:
        raise Conflict(f"Saga {saga_id} is {saga.status}; only a parked one waits for a person.")
    return saga.epoch + 1, list(steps)


def _note(
    connection: Connection,
    saga_id: str,
    decision: Decision,
    *,
    what: str,
    epoch: int,
    seq: int | None,
) -> None:
    connection.execute(
        _NOTE,
        {
            "saga_id": saga_id,
            "seq": seq,
            "what": what,
            "epoch": epoch,
            "who": decision.who,
            "note": decision.reason,
        },
    )


_LIST: Final = text("""
    SELECT saga_id, kind, lock_key, status, reason, last_run_id, created_at, next_try_at,
           finished_at, steps.taken, steps.parked
    FROM saga, LATERAL (
        SELECT count(*) AS taken, array_agg(name ORDER BY seq) FILTER (WHERE state = 'parked')
               AS parked
        FROM saga_step WHERE saga_step.saga_id = saga.saga_id) AS steps
    WHERE cardinality(CAST(:statuses AS text[])) = 0 OR status = ANY (:statuses)
    ORDER BY finished_at IS NOT NULL AND steps.parked IS NULL, created_at DESC, saga_id
    LIMIT :limit""")

# Without a result it is not known whether the effect is there: it must be looked for again,
# by the audit when the saga has ended.
_TRY_STEP_AGAIN: Final = text("""
    UPDATE saga_step SET state = CASE
            WHEN saga.finished_at IS NOT NULL THEN 'absent'
            WHEN saga.pivoted OR result IS NULL THEN 'intended' ELSE 'undoing' END,
        audit_at = CASE WHEN saga.finished_at IS NOT NULL THEN now() END,
        undo_tries = 0, updated_at = now()
    FROM saga
    WHERE saga.saga_id = saga_step.saga_id AND saga_step.saga_id = :saga_id AND seq = :seq""")

_SETTLE_STEP: Final = text("""
    UPDATE saga_step SET state = :state, result = coalesce(result, '{}'), updated_at = now()
    WHERE saga_id = :saga_id AND seq = :seq""")

_RELEASE: Final = text("""
    UPDATE saga SET status = CASE WHEN pivoted AND :retried THEN 'running' ELSE 'aborting' END,
        pivoted = pivoted AND :retried,
        epoch = epoch + 1, holder = NULL, lease_until = NULL, next_try_at = now()
    WHERE saga_id = :saga_id AND status = 'parked'""")

_NOTE: Final = text("""
    INSERT INTO saga_event (saga_id, seq, what, epoch, who, note)
    VALUES (:saga_id, :seq, :what, :epoch, :who, :note)""")
