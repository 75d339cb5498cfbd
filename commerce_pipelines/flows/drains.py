"""Starting a run that takes all that waits in the inbox, unless one has just been started.

The inbox is asked for its state, never for a position in it. Does not belong here: when a
message is due (`services.drain`).
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.flows.young_runs import has_young_run
from commerce_pipelines.services.drain import drain_key


def drain(
    context: dg.SensorEvaluationContext,
    store: StoreResource,
    job_name: str,
    *topics: str,
    waiting: str,
) -> dg.RunRequest | dg.SkipReason:
    """Returns what a sensor says of waiting messages.

    Args:
        context: Of the sensor's tick.
        store: Where the inbox is.
        job_name: The job that takes them.
        topics: Of the messages; the first one with any names the run.
        waiting: What they are about, for people.
    """
    if has_young_run(context.instance, job_name):
        return dg.SkipReason("A run has just been started; it takes what waits.")
    with store.engine.connect() as connection:
        keys = [drain_key(connection, topic, datetime.now(UTC)) for topic in topics]
    key = next(filter(None, keys), None)
    return dg.RunRequest(run_key=key) if key else dg.SkipReason(f"No {waiting} wait.")
