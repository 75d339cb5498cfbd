"""`saga_recovery`: finish or undo what a dead owner left.

Starts by a sensor that asks the ledger, not by a run-failure sensor: those are
lost when a tick fails, and never come when code server and worker die together.
An owner is given up when its lease ends, or sooner where it is seen to be dead.
What fails it: nothing of a single saga, for each is retried or parked on its
own, also where a system that it needs is not configured. May run beside
everything, itself included; the ledger's epochs decide.
"""

import time

import dagster as dg

from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.resources import SYSTEMS, StoreResource, opened_compensator
from commerce_pipelines.flows.run_worker import worker_of
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.owners import let_go, owners
from commerce_pipelines.services.recovery import first_due, sweep

NAME = "saga_recovery"
SWEEP_SECONDS = 10
LONGEST_RUN_SECONDS = 900


@dg.op(required_resource_keys={"store", *SYSTEMS})
def undo_unfinished_sagas(context: dg.OpExecutionContext) -> None:
    """Undoes every saga that is due: given up, or its owner silent for longer than its lease."""
    with shown_as_failures():
        outcomes = sweep(opened_compensator(context.resources), context.run_id)
    # Dagster keeps plain strings only, no members of an enumeration.
    counts = {str(outcome): count for outcome, count in outcomes.items()}
    context.log.info("swept: %s", counts or "nothing")
    context.add_output_metadata(counts)


@dg.job(
    name=NAME,
    description=__doc__,
    executor_def=dg.in_process_executor,
    tags={"flow": NAME, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The sweep."""
    undo_unfinished_sagas()


@dg.sensor(
    name="unfinished_sagas",
    job=job,
    minimum_interval_seconds=SWEEP_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the recovery when a saga was given up or lost its owner.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks the ledger; a key holds its moment, so that a failed sweep is tried again."""
    _let_go_of_the_dead(context.instance, store.ledger)
    due = first_due(store.ledger)
    if due is None:
        return dg.SkipReason("Nothing is half-done.")
    bucket = int(time.time() // SWEEP_SECONDS)
    return dg.RunRequest(run_key=f"sweep:{bucket}:{due}")


def _let_go_of_the_dead(instance: dg.DagsterInstance, ledger: Ledger) -> None:
    """Ends the leases of runs whose workers have died on this machine; others run out."""
    for owner in owners(ledger.engine):
        run = instance.get_run_by_id(owner)
        worker = worker_of(run) if run else None
        if worker and worker.has_ended():
            let_go(ledger.engine, owner)
