"""The failure hook: it undoes a failed run's sagas at once.

It is the quick path, not the promise. Dagster runs it in the op's process, after
the op's last try, so it misses:

- a SIGKILL of the op's process or of the run's worker, and the loss of the machine;
- a run that is terminated, safely or by force, or that is out of time: the op
  gives its saga up when it is interrupted, and undoes nothing itself;
- a resource that fails to start;
- its own end: a kill in the middle of it, or an error, which Dagster forgets.

All of these are found by the sweep over the ledger (`recovery.py`).
"""

from __future__ import annotations

import dagster as dg

from commerce_pipelines.flows.resources import SYSTEMS, opened_compensator
from commerce_pipelines.services.recovery import compensate_run

# Long enough for a passing fault; a longer one is the sweep's.
HOOK_PATIENCE_SECONDS = 5.0


@dg.failure_hook(required_resource_keys={"store", *SYSTEMS})
def compensate_at_once(context: dg.HookContext) -> None:
    """Undoes what the run gave up."""
    undo = opened_compensator(context.resources, HOOK_PATIENCE_SECONDS)
    outcomes = compensate_run(undo, context.run_id)
    context.log.info("undone at once: %s", dict(outcomes) or "nothing")
