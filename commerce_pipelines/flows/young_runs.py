"""Whether a run has just been started that does what another one would do.

Does not belong here: that two runs do no harm beside each other; that is the ledger's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

# A run younger than this does what there is to do; an older one is busy, or dead without
# Dagster knowing.
YOUNG_RUN_SECONDS: Final = 60

_IN_PROGRESS: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def has_young_run(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Tells whether a job has been started lately and is not over."""
    after = datetime.now(UTC) - timedelta(seconds=YOUNG_RUN_SECONDS)
    young = dg.RunsFilter(job_name=job_name, statuses=_IN_PROGRESS, created_after=after)
    return instance.get_runs_count(young) > 0
