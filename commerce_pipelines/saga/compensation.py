"""The backward half: one `compensate()` for hooks, sweeps and people.

Order inside: from the highest step down, resolve doubt, commit the intent to
undo, undo, commit the result. An unknown answer is retried with growing,
jittered delays; what does not work in the end is parked for a person.

A saga past its pivot is not undone: the rest of its steps is taken, under the
same rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from commerce_pipelines.errors import Fenced, NeedsPerson, PermanentError, TransientError, told
from commerce_pipelines.saga.audit import AUDITED_AFTER_SECONDS
from commerce_pipelines.saga.ledger import Claim, Ledger, StepRow
from commerce_pipelines.saga.saga import Saga, keep_alive
from commerce_pipelines.saga.states import NOTHING_TO_UNDO, SagaStatus, StepState
from commerce_pipelines.saga.step import ExternalStep, Step, Steps, TransactionalStep

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 15 * 60.0
MOST_TRIES = 12


class Outcome(StrEnum):
    """What one call of `compensate` came to."""

    COMPENSATED = "compensated"
    FINISHED = "finished"
    PARKED = "parked"
    LATER = "later"
    NOT_OURS = "not_ours"


class _ComeBack(Exception):
    """The undo must wait; nothing else of the saga may be undone before it."""

    def __init__(self, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds


class _Parked(Exception):
    """A step was parked, and with it the saga."""


@dataclass(frozen=True)
class Compensator:
    """Undoes sagas of the kinds it knows.

    Attributes:
        ledger: The ledger.
        kinds: The steps of each kind of saga, by name.
        finishers: Of the kinds with a pivot: what takes the rest of the steps and succeeds.
        jitter: Draws from 0 to 1.
    """

    ledger: Ledger
    kinds: Mapping[str, Steps]
    finishers: Mapping[str, Callable[[Saga], object]] = field(default_factory=dict)
    jitter: random.Random = field(default_factory=random.Random)

    def compensate(self, saga_id: str, who: str, *, reason: str | None = None) -> Outcome:
        """Undoes one saga as far as it can be undone now, or finishes it past its pivot.

        Args:
            saga_id: The saga.
            who: A run, a sensor or a person, for the ledger.
            reason: Why it failed, when the caller knows; a saga that may still be running
                under a live owner is only touched with a reason.

        Returns:
            What came of it.

        Raises:
            Fenced: Another compensator took over in the middle.
        """
        claim = self.ledger.claim_for_undo(saga_id, who, reason=reason)
        if claim is None:
            return Outcome.NOT_OURS
        with keep_alive(self.ledger, claim):
            return self._end(claim)

    def _end(self, claim: Claim) -> Outcome:
        try:
            if claim.status is SagaStatus.RUNNING:
                self._finish(claim)
                return Outcome.FINISHED
            for row in reversed(self.ledger.steps(claim.saga_id)):
                self._undo_step(claim, row)
        except _ComeBack as wait:
            with self.ledger.own(claim) as connection:
                self.ledger.reschedule(connection, claim, wait.delay_seconds)
            return Outcome.LATER
        except _Parked:
            return Outcome.PARKED
        with self.ledger.own(claim) as connection:
            self.ledger.finish(connection, claim, SagaStatus.COMPENSATED)
        return Outcome.COMPENSATED

    def _finish(self, claim: Claim) -> None:
        """Takes what is left of a saga past its pivot; what goes wrong is the pivot's error."""
        pivot = self._pivot_of(claim)
        try:
            if claim.kind not in self.finishers:
                raise NeedsPerson(f"Nobody knows how to finish {claim.kind}.")
            self.finishers[claim.kind](Saga(self.ledger, claim))
        except Fenced:
            raise
        except PermanentError as error:
            raise self._park(claim, pivot, error) from error
        except Exception as error:  # also a mistake of ours must come to an end
            raise self._try_later(claim, pivot, error) from error

    def _pivot_of(self, claim: Claim) -> StepRow:
        """Returns the pivot; of an unknown kind the step in doubt, else the last one."""
        steps = self.kinds.get(claim.kind, {})
        rows = self.ledger.steps(claim.saga_id)
        doubtful = [row for row in rows if row.state is StepState.INTENDED]
        pivots = [row for row in rows if getattr(steps.get(row.name), "is_pivot", False)]
        return [*rows, *doubtful, *pivots][-1]

    def _undo_step(self, claim: Claim, row: StepRow) -> None:
        if row.state in NOTHING_TO_UNDO:
            return
        step = self._find(claim, row)
        try:
            if isinstance(step, TransactionalStep):
                self._undo_transactional(claim, step, row)
            elif isinstance(step, ExternalStep):
                self._undo_external(claim, step, row)
        except (Fenced, _ComeBack, _Parked):
            raise
        except PermanentError as error:
            raise self._park(claim, row, error) from error
        except Exception as error:  # also a mistake of ours must come to an end
            raise self._try_later(claim, row, error) from error

    def _find(self, claim: Claim, row: StepRow) -> Step:
        step = self.kinds.get(claim.kind, {}).get(row.name)
        if step is None:
            raise self._park(
                claim, row, NeedsPerson(f"No undo is known for {claim.kind}/{row.name}.")
            )
        return step

    def _undo_transactional(self, claim: Claim, step: TransactionalStep, row: StepRow) -> None:
        with self.ledger.own(claim) as connection:
            undo = step.undo(connection, claim.saga_id, row.plan, row.result)
            state = StepState.SUPERSEDED if undo.superseded else StepState.UNDONE
            self.ledger.update_step(connection, row, state, undo_result=undo.report)

    def _undo_external(self, claim: Claim, step: ExternalStep, row: StepRow) -> None:
        result = row.result
        if row.state is StepState.INTENDED:
            found = self._resolve(claim, step, row)
            if found is None:
                return
            result = found
        if row.state is not StepState.UNDOING:
            with self.ledger.own(claim) as connection:
                self.ledger.update_step(connection, row, StepState.UNDOING)
        undo = step.undo(row.plan, result, row.idem_key)
        state = StepState.SUPERSEDED if undo.superseded else StepState.UNDONE
        with self.ledger.own(claim) as connection:
            self.ledger.update_step(connection, row, state, undo_result=undo.report)

    def _resolve(self, claim: Claim, step: ExternalStep, row: StepRow) -> dict[str, object] | None:
        if row.settles_in_seconds and not step.seals:
            raise _ComeBack(row.settles_in_seconds)
        found = step.look(row.plan, row.idem_key)
        audit_in_seconds = None if step.seals else AUDITED_AFTER_SECONDS[0]
        with self.ledger.own(claim) as connection:
            if found is None:
                self.ledger.update_step(
                    connection, row, StepState.ABSENT, audit_in_seconds=audit_in_seconds
                )
            else:
                self.ledger.update_step(connection, row, StepState.DONE, result=found)
        return found

    def _try_later(self, claim: Claim, row: StepRow, error: Exception) -> Exception:
        if row.undo_tries + 1 >= MOST_TRIES:
            return self._park(claim, row, error)
        now = next(known for known in self.ledger.steps(claim.saga_id) if known.seq == row.seq)
        with self.ledger.own(claim) as connection:
            self.ledger.update_step(connection, now, now.state, error=told(error), tries=1)
        longest = min(FIRST_DELAY_SECONDS * 2**row.undo_tries, LONGEST_DELAY_SECONDS)
        asked = error.retry_after_seconds if isinstance(error, TransientError) else None
        return _ComeBack(max(asked or 0.0, longest * self.jitter.random()))

    def _park(self, claim: Claim, row: StepRow, error: Exception) -> _Parked:
        reason = f"step {row.seq} ({row.name}): {error}"
        with self.ledger.own(claim) as connection:
            self.ledger.update_step(connection, row, StepState.PARKED, error=told(error))
            self.ledger.finish(connection, claim, SagaStatus.PARKED, reason)
        return _Parked()
