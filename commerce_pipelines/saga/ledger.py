"""Reading and writing the ledger; every write proves ownership first.

Belongs here: claims, leases and rows. Does not belong here: their SQL
(`statements.py`), and when to act or undo (`saga.py`, `compensation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, TextClause

from commerce_pipelines.errors import Busy, Conflict, Fenced
from commerce_pipelines.saga import statements
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
    """One step as the ledger has it.

    Attributes:
        settles_in_seconds: How long its request may still land; None in the store itself.
    """

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
    settles_in_seconds: float | None


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
            statements.BEGIN,
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
                statements.LOCK_TO_JOIN, {"saga_id": saga_id, "run_id": run_id}
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
            claim = Claim(saga_id, row.kind, epoch, SagaStatus.RUNNING)
            return self._lease(connection, claim, run_id)

    def claim_for_undo(self, saga_id: str, who: str, *, reason: str | None) -> Claim | None:
        """Claims a saga for compensation, or past its pivot for finishing; fences its owner.

        Args:
            saga_id: The saga.
            who: Who undoes it, for the ledger's events.
            reason: Why, when the caller knows that the saga failed. Without it a running
                saga is taken over only when its lease has run out, a resting one when due.

        Returns:
            The claim, or None when the saga is finished, parked, not due or somebody's.
        """
        with self.engine.begin() as connection:
            row = connection.execute(
                statements.LOCK_TO_UNDO, {"saga_id": saga_id, "forced": reason is not None}
            ).one_or_none()
            if row is None:
                return None
            status = SagaStatus.RUNNING if row.pivoted else SagaStatus.ABORTING
            claim = Claim(saga_id, row.kind, row.epoch + 1, status)
            return self._lease(connection, claim, who, reason or "its owner is gone")

    def _lease(
        self, connection: Connection, claim: Claim, holder: str, reason: str | None = None
    ) -> Claim:
        connection.execute(
            statements.LEASE,
            {
                "saga_id": claim.saga_id,
                "epoch": claim.epoch,
                "status": claim.status,
                "holder": holder,
                "lease": self.lease_seconds,
                "reason": reason,
            },
        )
        return claim

    def abort(self, connection: Connection, claim: Claim, reason: str) -> bool:
        """Gives a running saga up and fences everybody in it; tells whether it is to be undone."""
        names = {"saga_id": claim.saga_id, "reason": reason}
        return bool(connection.execute(statements.ABORT, names).scalar_one())

    def pivot(self, connection: Connection, claim: Claim, pivoted: bool) -> None:
        """Notes whether the saga may only go forward from now on."""
        connection.execute(statements.PIVOT, {"saga_id": claim.saga_id, "pivoted": pivoted})

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
            statements.PROVE,
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
                statements.RENEW,
                {
                    "ids": [claim.saga_id for claim in claims],
                    "epochs": [claim.epoch for claim in claims],
                    "lease": self.lease_seconds,
                },
            )

    def steps(self, saga_id: str) -> list[StepRow]:
        """Returns the saga's steps in the order in which they were taken."""
        with self.engine.connect() as connection:
            rows = connection.execute(statements.STEPS, {"saga_id": saga_id}).mappings()
            return [step_row(row) for row in rows]

    def step(self, saga_id: str, name: str, label: str) -> StepRow | None:
        """Returns one step, found by its name and label."""
        wanted = (name, label)
        return next((row for row in self.steps(saga_id) if (row.name, row.label) == wanted), None)

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
    ) -> StepRow:
        """Writes a new step, whose idempotency key is made from its place, and returns it."""
        inserted = connection.execute(
            statements.INSERT_STEP,
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
        )
        return step_row(inserted.mappings().one())

    def send_again(self, connection: Connection, row: StepRow, settle_seconds: float) -> None:
        """Gives a request that is sent once more its whole time to settle."""
        connection.execute(
            statements.SEND_AGAIN,
            {"saga_id": row.saga_id, "seq": row.seq, "settle": settle_seconds},
        )

    def update_step(
        self, connection: Connection, row: StepRow, state: StepState, **changes: Any
    ) -> None:
        """Moves a step to another state and writes what became known with it.

        Args:
            connection: An open transaction that has proven ownership.
            row: The step.
            state: Where it stands now.
            **changes: `result`, `undo_result`, `error`, `tries` to add, and for an absent
                effect `audit_in_seconds`, after which it is looked for again.
        """
        connection.execute(
            statements.UPDATE_STEP,
            {
                "saga_id": row.saga_id,
                "seq": row.seq,
                "state": state,
                "result": changes.get("result"),
                "undo_result": changes.get("undo_result"),
                "error": changes.get("error"),
                "tries": changes.get("tries", 0),
                "audit": changes.get("audit_in_seconds"),
            },
        )

    def finish(
        self, connection: Connection, claim: Claim, status: SagaStatus, reason: str | None = None
    ) -> None:
        """Ends a saga (succeeded, compensated) or parks it; the lease is given back."""
        connection.execute(
            statements.FINISH, {"saga_id": claim.saga_id, "status": status, "reason": reason}
        )

    def reschedule(self, connection: Connection, claim: Claim, delay_seconds: float) -> None:
        """Gives a saga back, to be claimed again after a while."""
        names = {"saga_id": claim.saga_id, "delay": delay_seconds}
        connection.execute(statements.RESCHEDULE, names)

    def due(self, limit: int = 50) -> list[str]:
        """Returns sagas to undo or finish: given up and due, and those whose owner is gone."""
        return self._ids(statements.DUE, limit=limit)

    def aborting_of_run(self, run_id: str) -> list[str]:
        """Returns the sagas of a run that wait to be undone, or finished past their pivot."""
        return self._ids(statements.ABORTING_OF_RUN, run_id=run_id)

    def _ids(self, statement: TextClause, **names: object) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.execute(statement, names).scalars())


def step_row(row: Mapping[Any, Any]) -> StepRow:
    """Returns a step from the columns that every statement about steps reads."""
    return StepRow(**{**row, "state": StepState(row["state"]), "result": row["result"] or {}})
