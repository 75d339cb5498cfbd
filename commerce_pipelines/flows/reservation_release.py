"""`reservation_release`: lets go of pieces that orders hold and nobody waits for any more.

Starts by its sensor: when an order is cancelled, or its export was given up and its time
is over. The orders stay as they are. Fails on nothing but the store; parks nothing. May
run beside everything, itself included.
"""

from collections import Counter
from datetime import UTC, datetime

import dagster as dg

from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.flows.young_runs import has_young_run
from commerce_pipelines.store.stock import count_expired, release_expired

NAME = "reservation_release"
LONGEST_RUN_SECONDS = 600
SENSOR_SECONDS = 30


@dg.op
def release_reservations(context: dg.OpExecutionContext, store: StoreResource) -> None:
    """Lets go of them page by page; a page is one commit."""
    released: Counter[str] = Counter()
    with shown_as_failures():
        while page := _release(store):
            released.update(page)
    pieces = sum(released.values())
    context.log.info("released: %d pieces of %d variants", pieces, len(released))
    context.add_output_metadata({"pieces": pieces, "variants": len(released)})


def _release(store: StoreResource) -> dict[str, int]:
    with store.engine.begin() as connection:
        return release_expired(connection)


@dg.job(
    name=NAME,
    description=__doc__,
    executor_def=dg.in_process_executor,
    tags={"flow": NAME, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The release."""
    release_reservations()


@dg.sensor(
    name="expired_reservations",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a release when orders hold pieces that nobody waits for any more.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks the store for its state."""
    if has_young_run(context.instance, NAME):
        return dg.SkipReason("A release has just been started.")
    with store.engine.connect() as connection:
        expired = count_expired(connection)
    if not expired:
        return dg.SkipReason("Nothing is held that nobody waits for.")
    return dg.RunRequest(run_key=f"release:{datetime.now(UTC).isoformat(timespec='seconds')}")
