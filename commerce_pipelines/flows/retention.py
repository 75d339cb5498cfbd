"""`retention`: delete what is over and old enough, once a day.

Starts by its schedule, or by hand. What fails it: Sanity, when seals have to be
deleted there; everything else is done by then, and the rest the next day. Parks
nothing. May run beside everything, and be ended at any moment.
"""

from collections import Counter

import dagster as dg

from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.resources import SanityResource, StoreResource
from commerce_pipelines.services.retention import Ages, Retention

NAME = "retention"
LONGEST_RUN_SECONDS = 3600
# Every day at half past three, UTC.
DAILY = "30 3 * * *"


@dg.op
def delete_what_is_over(
    context: dg.OpExecutionContext, store: StoreResource, sanity: SanityResource
) -> None:
    """Deletes what is over and old enough, kind by kind."""
    settings = store.settings
    ages = Ages(
        bodies_days=settings.bodies_kept_days,
        messages_days=settings.messages_kept_days,
        steps_days=settings.steps_kept_days,
        sagas_days=settings.sagas_kept_days,
        answers_days=settings.answers_kept_days,
        carts_days=settings.carts_kept_days,
    )
    deleted: Counter[str] = Counter()
    try:
        with shown_as_failures():
            for page in Retention(store.engine, ages, sanity.open).pages():
                deleted.update(page)
    finally:
        context.log.info("deleted: %s", dict(deleted))
    context.add_output_metadata({name: int(count) for name, count in deleted.items()})


@dg.job(
    name=NAME,
    description=__doc__,
    executor_def=dg.in_process_executor,
    tags={"flow": NAME, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The deletion."""
    delete_what_is_over()


schedule = dg.ScheduleDefinition(
    name="daily_retention",
    job=job,
    cron_schedule=DAILY,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Deletes every night what is over and old enough.",
)
