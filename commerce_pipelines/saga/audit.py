"""The late-arrival audit: an effect that was absent is looked for again.

A system that cannot be sealed may apply a request after we looked: its own
queue was slow, or a process of ours froze between its last check and the send
and woke up later. What is found then is undone; what cannot be undone is
parked, although the saga itself is long compensated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, text

from commerce_pipelines.errors import NeedsPerson, TransientError, told
from commerce_pipelines.saga.ledger import Ledger, StepRow, step_row
from commerce_pipelines.saga.statements import STEP_COLUMNS
from commerce_pipelines.saga.states import StepState
from commerce_pipelines.saga.step import JSON, ExternalStep, Steps, Undo

AUDITED_AFTER_SECONDS: Final = (60.0, 15 * 60.0, 24 * 3600.0)


def first_audit_due(engine: Engine) -> str | None:
    """Returns a saga with a step whose audit is due; None when there is none."""
    with engine.connect() as connection:
        return connection.execute(_FIRST_DUE).scalar_one_or_none()


@dataclass(frozen=True)
class Auditor:
    """Looks again for effects of the kinds of saga that it knows.

    Attributes:
        ledger: The ledger.
        kinds: The steps of each kind of saga, by name.
    """

    ledger: Ledger
    kinds: Mapping[str, Steps]

    def audit_due(self, who: str, limit: int = 50) -> Counter[StepState]:
        """Audits every absent step whose time has come; returns where how many stand then."""
        states: Counter[StepState] = Counter()
        for _ in range(limit):
            with self.ledger.engine.begin() as connection:
                claimed = connection.execute(_CLAIM, {"lease": self.ledger.lease_seconds})
                row = claimed.mappings().one_or_none()
            if row is None:
                break
            columns = dict(row)
            kind = columns.pop("kind")
            states[self._audit(kind, step_row(columns), who)] += 1
        return states

    def _audit(self, kind: str, row: StepRow, who: str) -> StepState:
        step = self.kinds.get(kind, {}).get(row.name)
        try:
            if not isinstance(step, ExternalStep):
                raise NeedsPerson(f"Nobody knows how to look for {kind}/{row.name}.")
            found = step.look(row.plan, row.idem_key)
            if found is None:
                return self._absent_still(row)
            return self._undone(row, found, step.undo(row.plan, found, row.idem_key), who)
        except TransientError:
            return StepState.ABSENT  # the claim runs out like a lease, then it is looked for again
        except Exception as error:  # also a mistake of ours must come to an end
            return self._parked(row, error, who)

    def _absent_still(self, row: StepRow) -> StepState:
        with self.ledger.engine.begin() as connection:
            connection.execute(
                _NEXT, {"saga_id": row.saga_id, "seq": row.seq, "after": [*AUDITED_AFTER_SECONDS]}
            )
        return StepState.ABSENT

    def _undone(self, row: StepRow, found: JSON, undo: Undo, who: str) -> StepState:
        state = StepState.SUPERSEDED if undo.superseded else StepState.UNDONE
        self._close(row, state, who, result=found, undo_result=undo.report)
        return state

    def _parked(self, row: StepRow, error: Exception, who: str) -> StepState:
        self._close(row, StepState.PARKED, who, error=f"A late effect: {told(error)}")
        return StepState.PARKED

    def _close(self, row: StepRow, state: StepState, who: str, **changes: object) -> None:
        with self.ledger.engine.begin() as connection:
            connection.execute(
                _NOTE, {"saga_id": row.saga_id, "seq": row.seq, "what": "late", "who": who}
            )
            self.ledger.update_step(connection, row, state, **changes)


_FIRST_DUE: Final = text("""
    SELECT saga_id FROM saga_step WHERE audit_at <= now() ORDER BY audit_at LIMIT 1""")

# Takes the step that has waited longest; if its auditor dies, it is due again after a lease.
_CLAIM: Final = text(f"""
    UPDATE saga_step SET audit_at = now() + make_interval(secs => :lease)
    FROM saga
    WHERE saga.saga_id = saga_step.saga_id AND saga_step.idem_key = (
        SELECT idem_key FROM saga_step WHERE audit_at <= now()
        ORDER BY audit_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING saga.kind, {STEP_COLUMNS}""")

# Plans the next look by the time since the effect was found absent; none after the last.
_NEXT: Final = text("""
    UPDATE saga_step SET audit_at = (
        SELECT min(updated_at + make_interval(secs => seconds))
        FROM unnest(CAST(:after AS double precision[])) AS seconds
        WHERE updated_at + make_interval(secs => seconds) > now())
    WHERE saga_id = :saga_id AND seq = :seq AND state = 'absent'""")

_NOTE: Final = text("""
    INSERT INTO saga_event (saga_id, seq, what, who) VALUES (:saga_id, :seq, :what, :who)""")
