"""The states of sagas and steps, and the moves between them.

    saga:  running ──► succeeded
              │
              ├──► aborting ──► compensated
              └──► parked ◄──┘   (parked ──► aborting | running: by a person)

    step:  intended ──► done ──► undoing ──► undone | superseded
              │          └──► undone | superseded        (transactional steps)
              ├──► refused                               (no effect to undo)
              └──► absent ──► undone | superseded | parked  (when it came late: `audit.py`)
           any doubt or failed undo ──► parked ──► intended | undoing | undone | superseded

The database enforces the same moves for every writer (`rules.sql`).
"""

from __future__ import annotations

from enum import StrEnum


class SagaStatus(StrEnum):
    """Where a saga stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    ABORTING = "aborting"
    COMPENSATED = "compensated"
    PARKED = "parked"


class StepState(StrEnum):
    """Where a step stands."""

    INTENDED = "intended"
    DONE = "done"
    REFUSED = "refused"
    ABSENT = "absent"
    UNDOING = "undoing"
    UNDONE = "undone"
    SUPERSEDED = "superseded"
    PARKED = "parked"


FINISHED = frozenset({SagaStatus.SUCCEEDED, SagaStatus.COMPENSATED})
LIVE = frozenset(SagaStatus) - FINISHED
NOTHING_TO_UNDO = frozenset(
    {StepState.REFUSED, StepState.ABSENT, StepState.UNDONE, StepState.SUPERSEDED}
)
