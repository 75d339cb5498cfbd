"""Reading and writing the ledger; every write proves ownership first.

Belongs here: the SQL over `saga` and `saga_step`. Does not belong here: when
to act or undo (`saga.py`, `compensation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.errors import Busy, Conflict, Fenced
from commerce_pipelines.saga.states import SagaStatus, StepState
from commerce_pipelines.saga.step import JSON


@dataclass(frozen=True)
class Claim:
    """The right to write one saga's rows, until somebody raises the epoch."""

    saga_id: str
    kind: str
    epoch: int
    status: SagaStatus


@dataclass(frozen=True)
class StepRow:
    """One step as the ledger has it."""

    saga_id: str
    seq: int
    name: str
    label: str
    idem_key: str
    state: StepState
    plan: JSON
    result: JSON
    error: str | None
    undo_tries: int
    settled: bool


@dataclass(frozen=True)
class Ledger:
    """The ledger in one database.

    Attributes:
        engine: Connections with the session limits of `store.engine.connect`.
        lease_seconds: How long an owner may be silent before it is taken over.
    """

    engine: Engine
    lease_seconds: float = 30.0

    def begin(
        self, connection: Connection, *, saga_id: str, kind: str, lock_key: str, run_id: str
    ) -> Claim:
        """Opens a saga and claims it for a run, inside the caller's transaction.

        Raises:
            Busy: A live saga of this kind already holds the same aggregate.
        """
        row = connection.execute(
            text("""
                INSERT INTO saga (saga_id, kind, lock_key, root_run_id, last_run_id,
                                  epoch, holder, lease_until)
                VALUES (:saga_id, :kind, :lock_key, :run_id, :run_id,
                        1, :run_id, now() + make_interval(secs => :lease))
                ON CONFLICT (kind, lock_key) WHERE status IN ('running', 'aborting', 'parked')
                DO NOTHING RETURNING epoch"""),
            {
                "saga_id": saga_id,
                "kind": kind,
                "lock_key": lock_key,
                "run_id": run_id,
                "lease": self.lease_seconds,
            },
        ).one_or_none()
        if row is None:
            raise Busy(f"Another {kind} saga is still working on {lock_key}.")
        return Claim(saga_id, kind, row.epoch, SagaStatus.RUNNING)

    def join(self, saga_id: str, run_id: str) -> Claim:
        """Claims a running saga for the next op, retry or re-execution of its run.

        Raises:
            Conflict: The saga is finished or being undone; a new run must start afresh.
            Busy: Another run owns it and is alive.
        """
        with self.engine.begin() as connection:
            row = connection.execute(
                text("""
                    SELECT kind, status, epoch, holder = :run_id AS ours,
                           coalesce(lease_until > now(), false) AS alive
                    FROM saga WHERE saga_id = :saga_id FOR UPDATE"""),
                {"saga_id": saga_id, "run_id": run_id},
            ).one_or_none()
            if row is None or row.status != SagaStatus.RUNNING:
                state = row.status if row else "gone"
                raise Conflict(
                    f"Saga {saga_id} is {state}: its changes were completed or rolled back. "
                    "Start a new run instead of continuing this one."
                )
            if row.alive and not row.ours:
                raise Busy(f"Saga {saga_id} is owned by another run that is alive.")
            epoch = row.epoch if row.ours else row.epoch + 1
            self._lease(connection, saga_id, epoch, SagaStatus.RUNNING, run_id)
        return Claim(saga_id, row.kind, epoch, SagaStatus.RUNNING)

    def claim_for_undo(self, saga_id: str, who: str, *, reason: str | None) -> Claim | None:
        """Claims a saga for compensation and fences its owner.

        Args:
            saga_id: The saga.
            who: Who undoes it, for the ledger's events.
            reason: Why, when the caller knows that the saga failed. Without it a running
                saga is taken over only when its lease has run out.

        Returns:
            The claim, or None when the saga is finished, parked, not due or somebody's.
        """
        with self.engine.begin() as connection:
            row = connection.execute(
                text("""
                    SELECT kind, epoch, pivoted FROM saga
                    WHERE saga_id = :saga_id
                      AND (status = 'aborting' AND coalesce(lease_until < now(), true)
                           OR status = 'running' AND (:forced OR coalesce(lease_until < now(), true)))
                    FOR UPDATE SKIP LOCKED"""),
                {"saga_id": saga_id, "forced": reason is not None},
            ).one_or_none()
            if row is None:
                return None
            status = SagaStatus.PARKED if row.pivoted else SagaStatus.ABORTING
            reason = reason or "its owner is gone"
            self._lease(connection, saga_id, row.epoch + 1, status, who, reason)
            if row.pivoted:
                return None
        return Claim(saga_id, row.kind, row.epoch + 1, status)

    def _lease(
        self,
        connection: Connection,
        saga_id: str,
        epoch: int,
        status: SagaStatus,
        holder: str,
        reason: str | None = None,
    ) -> None:
        connection.execute(
            text("""
                UPDATE saga SET epoch = :epoch, status = :status,
                    holder = :holder, lease_until = now() + make_interval(secs => :lease),
                    last_run_id = CASE WHEN :status = 'running' THEN :holder ELSE last_run_id END,
                    reason = coalesce(reason, :reason)
                WHERE saga_id = :saga_id"""),
            {
                "saga_id": saga_id,
                "epoch": epoch,
                "status": status,
                "holder": holder,
                "lease": self.lease_seconds,
                "reason": reason,
            },
        )

    def abort(self, connection: Connection, claim: Claim, reason: str) -> None:
        """Marks a running saga as failed, free to be undone, and fences everybody else in it."""
        connection.execute(
            text("""
                UPDATE saga SET status = 'aborting', epoch = epoch + 1, reason = :reason,
                    holder = NULL, lease_until = NULL, next_try_at = now()
                WHERE saga_id = :saga_id"""),
            {"saga_id": claim.saga_id, "reason": reason},
        )

    @contextmanager
    def own(self, claim: Claim) -> Iterator[Connection]:
        """Opens a transaction that only the saga's owner can commit.

        Raises:
            Fenced: Somebody took the saga over.
        """
        with self.engine.begin() as connection:
            self.prove(connection, claim)
            yield connection

    def prove(self, connection: Connection, claim: Claim) -> None:
        """Locks the saga's row, renews the lease, and stops whoever is fenced.

        Raises:
            Fenced: Somebody took the saga over.
        """
        owned = connection.execute(
            text("""
                UPDATE saga SET lease_until = now() + make_interval(secs => :lease)
                WHERE saga_id = :saga_id AND epoch = :epoch AND status = :status"""),
            {
                "saga_id": claim.saga_id,
                "epoch": claim.epoch,
                "status": claim.status,
                "lease": self.lease_seconds,
            },
        )
        if owned.rowcount == 0:
            raise Fenced(f"Saga {claim.saga_id} was taken over; this process stops writing.")

    def renew(self, claims: Sequence[Claim]) -> None:
        """Renews leases; rows in use are skipped, for their user renews them itself."""
        with self.engine.begin() as connection:
            connection.execute(
                text("""
                    UPDATE saga SET lease_until = now() + make_interval(secs => :lease)
                    FROM (SELECT saga.saga_id FROM saga
                          JOIN unnest(CAST(:ids AS text[]), CAST(:epochs AS bigint[]))
                               AS mine(id, epoch)
                            ON saga.saga_id = mine.id AND saga.epoch = mine.epoch
                          WHERE saga.status IN ('running', 'aborting')
                          FOR UPDATE OF saga SKIP LOCKED) AS held
                    WHERE saga.saga_id = held.saga_id"""),
                {
                    "ids": [claim.saga_id for claim in claims],
                    "epochs": [claim.epoch for claim in claims],
                    "lease": self.lease_seconds,
                },
            )

    def steps(self, saga_id: str) -> list[StepRow]:
        """Returns the saga's steps in the order in which they were taken."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("""
                    SELECT saga_id, seq, name, label, idem_key, state, plan, result, error,
                           undo_tries, coalesce(settle_at <= now(), true) AS settled
                    FROM saga_step WHERE saga_id = :saga_id ORDER BY seq"""),
                {"saga_id": saga_id},
            ).mappings()
            return [
                StepRow(**{**row, "state": StepState(row["state"]), "result": row["result"] or {}})
                for row in rows
            ]

    def step(self, saga_id: str, name: str, label: str) -> StepRow | None:
        """Returns one step, found by its name and label."""
        for row in self.steps(saga_id):
            if (row.name, row.label) == (name, label):
                return row
        return None

    def insert_step(
        self,
        connection: Connection,
        claim: Claim,
        *,
        name: str,
        label: str,
        transactional: bool,
        state: StepState,
        plan: JSON,
        result: JSON | None = None,
        settle_seconds: float | None = None,
    ) -> str:
        """Writes a new step and returns its idempotency key."""
        return str(
            connection.execute(
                _INSERT_STEP,
                {
                    "saga_id": claim.saga_id,
                    "name": name,
                    "label": label,
                    "transactional": transactional,
                    "state": state,
                    "plan": plan,
                    "result": result,
                    "epoch": claim.epoch,
                    "settle": settle_seconds,
                },
            ).scalar_one()
        )

    def update_step(
        self, connection: Connection, row: StepRow, state: StepState, **changes: Any
    ) -> None:
        """Moves a step to another state and writes what became known with it."""
        connection.execute(
            _UPDATE_STEP,
            {
                "saga_id": row.saga_id,
                "seq": row.seq,
                "state": state,
                "result": changes.get("result"),
                "undo_result": changes.get("undo_result"),
                "error": changes.get("error"),
                "tries": changes.get("tries", 0),
            },
        )

    def finish(
        self, connection: Connection, claim: Claim, status: SagaStatus, reason: str | None = None
    ) -> None:
        """Ends a saga (succeeded, compensated) or parks it; the lease is given back."""
        connection.execute(
            text("""
                UPDATE saga SET status = :status, holder = NULL, lease_until = NULL,
                    finished_at = CASE WHEN :status = 'parked' THEN NULL ELSE now() END,
                    reason = coalesce(:reason, reason)
                WHERE saga_id = :saga_id"""),
            {"saga_id": claim.saga_id, "status": status, "reason": reason},
        )

    def reschedule(self, connection: Connection, claim: Claim, delay_seconds: float) -> None:
        """Gives an aborting saga back, to be claimed again after a while."""
        connection.execute(
            text("""
                UPDATE saga SET holder = NULL, lease_until = NULL,
                    next_try_at = now() + make_interval(secs => :delay)
                WHERE saga_id = :saga_id"""),
            {"saga_id": claim.saga_id, "delay": delay_seconds},
        )

    def due(self, limit: int = 50) -> list[str]:
        """Returns sagas to undo: aborting ones that are due, and those whose owner is gone."""
        with self.engine.connect() as connection:
            return list(
                connection.execute(
                    text("""
                        SELECT saga_id FROM saga
                        WHERE (status = 'aborting' AND next_try_at <= now()
                               OR status = 'running')
                          AND coalesce(lease_until < now(), true)
                        ORDER BY next_try_at, saga_id LIMIT :limit"""),
                    {"limit": limit},
                ).scalars()
            )

    def aborting_of_run(self, run_id: str) -> list[str]:
        """Returns the sagas that a run opened or joined and that wait to be undone."""
        with self.engine.connect() as connection:
            return list(
                connection.execute(
                    text("""
                        SELECT saga_id FROM saga
                        WHERE last_run_id = :run_id AND status = 'aborting'
                        ORDER BY saga_id"""),
                    {"run_id": run_id},
                ).scalars()
            )


_INSERT_STEP = text("""
    WITH next AS (
        SELECT coalesce(max(seq), 0) + 1 AS seq FROM saga_step WHERE saga_id = :saga_id)
    INSERT INTO saga_step (saga_id, seq, name, label, idem_key, transactional, state, plan,
                           result, intent_epoch, settle_at)
    SELECT :saga_id, seq, :name, :label, :saga_id || '-' || seq, :transactional, :state, :plan,
           :result, :epoch, now() + make_interval(secs => CAST(:settle AS double precision))
    FROM next RETURNING idem_key""").bindparams(
    bindparam("plan", type_=JSONB), bindparam("result", type_=JSONB(none_as_null=True))
)

_UPDATE_STEP = text("""
    UPDATE saga_step SET state = :state,
        result = coalesce(:result, result),
        undo_result = coalesce(:undo_result, undo_result),
        error = coalesce(:error, error),
        undo_tries = undo_tries + :tries,
        updated_at = now()
    WHERE saga_id = :saga_id AND seq = :seq""").bindparams(
    bindparam("result", type_=JSONB(none_as_null=True)),
    bindparam("undo_result", type_=JSONB(none_as_null=True)),
)
