"""The forward half: a run takes the steps of its saga.

with Saga.kept_alive(ledger, claim) as saga:
    saga.take(UpsertProducts(), plan)          # effect and record in one commit
    saga.take(WriteDocuments(sanity), plan)    # intent, effect, result
    saga.succeed()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from commerce_pipelines.errors import Conflict, Fenced, PermanentError, told
from commerce_pipelines.saga.ledger import Claim, Ledger, StepRow
from commerce_pipelines.saga.states import SagaStatus, StepState
from commerce_pipelines.saga.step import JSON, ExternalStep, TransactionalStep

# Goes on while the machine sleeps, as the leases in the database do.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Saga:
    """One saga in the hands of the run that owns it."""

    ledger: Ledger
    claim: Claim

    @property
    def saga_id(self) -> str:
        """Returns the saga's id."""
        return self.claim.saga_id

    @classmethod
    @contextmanager
    def kept_alive(cls, ledger: Ledger, claim: Claim) -> Iterator[Saga]:
        """Renews the lease in the background while a long step works."""
        with keep_alive(ledger, claim):
            yield cls(ledger, claim)

    @classmethod
    @contextmanager
    def joined(
        cls,
        ledger: Ledger,
        saga_id: str,
        run_id: str,
        *,
        on_failure: Callable[[BaseException], Callable[[Connection], None]] | None = None,
        is_kept: Callable[[BaseException], bool] = lambda error: False,
    ) -> Iterator[Saga]:
        """Joins a saga for an op; what goes wrong inside gives it up.

        Args:
            ledger: The ledger.
            saga_id: The saga.
            run_id: The run that goes on with it.
            on_failure: What else is written in the transaction that gives it up.
            is_kept: Tells of an error after which the run itself goes on with the saga.

        Raises:
            Conflict: The saga is finished or being undone.
            Busy: Another run owns it and is alive.
        """
        claim = ledger.join(saga_id, run_id)
        with cls.kept_alive(ledger, claim) as saga:
            try:
                yield saga
            except Fenced:
                raise
            # Also an interruption from outside: what is known to have ended need not be waited for.
            except BaseException as error:
                if not is_kept(error):
                    saga.abort(told(error), also=on_failure and on_failure(error))
                raise

    def take(
        self,
        step: TransactionalStep | ExternalStep,
        plan: JSON | Callable[[], JSON],
        label: str = "",
    ) -> JSON:
        """Takes a step once, however often it is asked to, and returns its result.

        Args:
            step: The effect and its undo.
            plan: The request and the before-image, or how to make them. It is not asked for
                when the ledger already has a plan under this name and label.
            label: Tells apart several steps of one kind in a saga.

        Raises:
            PermanentError: The system said no; the step had no effect.
            TransientError: The effect is in doubt; take the step again or compensate.
            Fenced: Somebody took the saga over, or could have while this process slept.
        """
        known = self.ledger.step(self.saga_id, step.name, label)
        if known is None:
            made = plan() if callable(plan) else plan
            if isinstance(step, TransactionalStep):
                return self._commit(step, made, label)
            return self._send(step, lambda: self._intend(step, made, label), is_first=True)
        if known.state is StepState.DONE:
            return known.result
        if known.state is not StepState.INTENDED or isinstance(step, TransactionalStep):
            raise Conflict(f"Step {known.idem_key} is {known.state}: {known.error}")
        return self._send(step, lambda: self._intend_again(step, known), is_first=False)

    def _commit(self, step: TransactionalStep, plan: JSON, label: str) -> JSON:
        with self.ledger.own(self.claim) as connection:
            result = step.act(connection, self.saga_id, plan)
            self.ledger.insert_step(
                connection,
                self.claim,
                name=step.name,
                label=label,
                transactional=True,
                state=StepState.DONE,
                plan=plan,
                result=result,
            )
        return result

    def _intend(self, step: ExternalStep, plan: JSON, label: str) -> StepRow:
        with self.ledger.own(self.claim) as connection:
            if step.is_pivot:
                self.ledger.pivot(connection, self.claim, True)
            return self.ledger.insert_step(
                connection,
                self.claim,
                name=step.name,
                label=label,
                transactional=False,
                state=StepState.INTENDED,
                plan=plan,
                settle_seconds=step.settle_seconds,
            )

    def _intend_again(self, step: ExternalStep, row: StepRow) -> StepRow:
        with self.ledger.own(self.claim) as connection:
            self.ledger.send_again(connection, row, step.settle_seconds)
        return row

    def _send(self, step: ExternalStep, intend: Callable[[], StepRow], *, is_first: bool) -> JSON:
        owned_at = time.clock_gettime(_CLOCK)
        row = intend()
        if time.clock_gettime(_CLOCK) - owned_at >= self.ledger.lease_seconds:
            raise Fenced(f"This process slept; saga {self.saga_id} may be somebody else's by now.")
        try:
            result = step.act(row.plan, row.idem_key)
        except PermanentError as error:
            # A no to a repeated request does not tell what became of the first one.
            if is_first or (step.seals and step.look(row.plan, row.idem_key) is None):
                self._refuse(step, row, error)
            raise
        with self.ledger.own(self.claim) as connection:
            self.ledger.update_step(connection, row, StepState.DONE, result=result)
        return result

    def _refuse(self, step: ExternalStep, row: StepRow, error: PermanentError) -> None:
        with self.ledger.own(self.claim) as connection:
            self.ledger.update_step(connection, row, StepState.REFUSED, error=str(error))
            if step.is_pivot:
                self.ledger.pivot(connection, self.claim, False)

    def succeed(self, also: Callable[[Connection], None] | None = None) -> None:
        """Ends the saga; `also` writes in the same transaction what success means elsewhere."""
        with self.ledger.own(self.claim) as connection:
            if also is not None:
                also(connection)
            self.ledger.finish(connection, self.claim, SagaStatus.SUCCEEDED)

    def abort(self, reason: str, also: Callable[[Connection], None] | None = None) -> None:
        """Gives the saga up, to be undone; past its pivot to be finished by the next sweep.

        Args:
            reason: Why.
            also: Writes in the same transaction what it means elsewhere that it is undone.
        """
        with self.ledger.own(self.claim) as connection:
            is_undone = self.ledger.abort(connection, self.claim, reason)
            if also is not None and is_undone:
                also(connection)


@contextmanager
def keep_alive(ledger: Ledger, claim: Claim) -> Iterator[None]:
    """Renews one lease every third of its time until the block ends."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(ledger.lease_seconds / 3):
            try:
                ledger.renew([claim])
            except DBAPIError:
                continue  # the database is away: the next own() will tell

    thread = threading.Thread(target=beat, name=f"lease-{claim.saga_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
