"""`order_status_import`: what the ERP says of orders, into the store.

Starts on waiting messages, and every `ORDER_POLL_MINUTES` to ask the ERP what changed, for
updates that were never delivered. One run takes all that wait, page by page, each a saga.
What fails it: the ERP not answering the question; what was delivered is applied all the
same. Parks nothing: what cannot be applied is left as a dead message. May run beside
itself: a message has one saga at a time.
"""

from collections import Counter
from typing import Any

import dagster as dg
from pydantic import Field

from commerce_pipelines.flows.drains import drain
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.orders import STORE_ORDERS
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.services.order_poll import poll_orders
from commerce_pipelines.services.order_status_import import KIND, TOPIC, OrderStatusImport
from commerce_pipelines.store.order_statuses import Verdict

LONGEST_RUN_SECONDS = 1800
SENSOR_SECONDS = 5
_COUNTED = (*(str(verdict) for verdict in Verdict), "unusable")
POLL_CONFIG = {"ops": {"poll_order_updates": {"config": {"ask": True}}}}


class PollConfig(dg.Config):
    """Whether to ask."""

    ask: bool = Field(
        default=False, description="Ask the ERP what changed, beside what was delivered."
    )


@dg.op
def poll_order_updates(
    context: dg.OpExecutionContext, config: PollConfig, store: StoreResource, erp: ErpResource
) -> int:
    """Puts what the ERP has changed since the last time beside what was delivered, if asked to."""
    if not config.ask:
        return 0
    try:
        with shown_as_failures():
            count = poll_orders(store.engine, erp.open())
    except dg.Failure as failure:
        context.log.warning("the ERP was not asked: %s", failure.description)
        return -1
    context.log.info("%s changes were not delivered", count)
    return count


@dg.op
def apply_order_updates(context: dg.OpExecutionContext, polled: int, store: StoreResource) -> None:
    """Gives orders the newest status that waits for them. Undo: the status before."""
    counts: Counter[str] = Counter()
    with shown_as_failures():
        flow = OrderStatusImport(store.ledger, context.run_id)
        while saga_id := flow.claim():
            counts += flow.apply(saga_id)
    told = {name: counts[name] for name in _COUNTED}
    context.log.info("%s", ", ".join(f"{count} {name}" for name, count in told.items()))
    metadata: dict[str, Any] = {**told, "not delivered": max(polled, 0)}
    if counts[Verdict.APPLIED]:
        context.log_event(dg.AssetMaterialization(STORE_ORDERS, metadata=metadata))
    context.add_output_metadata(metadata)
    if polled < 0:
        raise dg.Failure(
            "The ERP could not be asked what changed; what it has delivered is applied, and it "
            "is asked again by the next poll.",
            allow_retries=False,
        )


@dg.job(
    name=KIND,
    description=__doc__,
    executor_def=dg.in_process_executor,
    hooks={compensate_at_once},
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The import."""
    apply_order_updates(poll_order_updates())


@dg.sensor(
    name="order_update_messages",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts an import when order updates wait; one run takes all that wait.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a run that takes all that wait."""
    return drain(context, store, KIND, TOPIC, waiting="order updates")


@dg.schedule(
    name="order_poll",
    job=job,
    cron_schedule="* * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks the ERP every ORDER_POLL_MINUTES which orders changed; 0 is never.",
)
def schedule(
    context: dg.ScheduleEvaluationContext, store: StoreResource, erp: ErpResource
) -> dg.RunRequest | dg.SkipReason:
    """Starts an import that asks."""
    minutes = store.settings.order_poll_minutes
    if not erp.is_configured or not minutes:
        return dg.SkipReason("There is no ERP, or ORDER_POLL_MINUTES is 0.")
    if int(context.scheduled_execution_time.timestamp() // 60) % minutes:
        return dg.SkipReason(f"Asked every {minutes} minutes only.")
    return dg.RunRequest(run_config=POLL_CONFIG)
