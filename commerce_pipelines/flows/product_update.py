"""`product_update`: a product's change by its people, in the store and in the ERP.

Starts on waiting requests (sensor, or at once by the endpoint), or by hand with a
product and its changes typed into the config of `receive_change`. One run takes all
that wait, each in a saga of its own. What fails it: what the ERP refuses or does not
answer; it is undone at once, who asked is told, and it does not come again. What is
parked: an undo that the ERP refuses. May run beside itself: a product has one change
at a time.
"""

from collections import Counter
from typing import Any

import dagster as dg
from pydantic import Field, ValidationError

from commerce_pipelines.domain.catalog import first_fault
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.errors import Busy, CommerceError, InvalidInput
from commerce_pipelines.flows.drains import drain
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import HOOK_PATIENCE_SECONDS, compensate_at_once
from commerce_pipelines.flows.resources import (
    SYSTEMS,
    ErpResource,
    StoreResource,
    opened_compensator,
)
from commerce_pipelines.flows.tables import UPDATE_COLUMNS, preview
from commerce_pipelines.services.product_update import KIND, TOPIC, ProductUpdate, ask
from commerce_pipelines.services.recovery import compensate_run

LONGEST_RUN_SECONDS = 1800
SENSOR_SECONDS = 5
MOST_SHOWN = 50
# Who asked waits half a minute: a later answer is of no use to them.
PATIENCE_SECONDS = 10.0
_COUNTED = ("updated", "put off", "failed")


class ChangeConfig(dg.Config):
    """A change to make beside those that wait."""

    product_id: str = Field(default="", description="The store's id, `prod_…`; empty for none.")
    changes: dict[str, Any] = Field(
        default_factory=dict,
        description="`title`, `description`, `options`, `variants`; what is absent stays.",
    )


@dg.op(out=dg.Out(dg.Nothing))
def receive_change(
    context: dg.OpExecutionContext, config: ChangeConfig, store: StoreResource
) -> None:
    """Puts a change that is typed into the config beside those that wait."""
    if not config.product_id:
        return
    with shown_as_failures(), store.engine.begin() as connection:
        ask(connection, config.product_id, _read(config.changes), context.run_id)


@dg.op(ins={"received": dg.In(dg.Nothing)}, required_resource_keys={"store", *SYSTEMS})
def update_products(context: dg.OpExecutionContext) -> None:
    """Makes each waiting change here and in the ERP. Undo: put both back."""
    with shown_as_failures():
        store, erp = context.resources.store, context.resources.erp
        flow = ProductUpdate(store.ledger, erp.open(PATIENCE_SECONDS), context.run_id)
        outcomes = _drain(context, flow)
    counts = Counter(str(outcome["action"]) for outcome in outcomes)
    told = ", ".join(f"{counts[name]} {name}" for name in _COUNTED)
    context.log.info("%s: %s", "done" if outcomes else "nothing to do", told)
    metadata: dict[str, Any] = {
        **{name: counts[name] for name in _COUNTED},
        "preview": preview(outcomes[:MOST_SHOWN], UPDATE_COLUMNS),
    }
    if counts["failed"]:
        reason = next(each["why"] for each in outcomes if each["action"] == "failed")
        raise dg.Failure(
            f"{counts['failed']} of {len(outcomes)} changes could not be made; who asked is "
            f"told, and what had been done is undone. {reason}",
            metadata=metadata,
            allow_retries=False,
        )
    context.add_output_metadata(metadata)


def _drain(context: dg.OpExecutionContext, flow: ProductUpdate) -> list[dict[str, Any]]:
    """Makes change by change; one that fails is undone at once, and does not stop the others."""
    outcomes: list[dict[str, Any]] = []
    while saga_id := flow.claim():
        outcome: dict[str, Any] = {"saga_id": saga_id, "product_id": None, "why": None}
        try:
            (outcome["product_id"],) = flow.update(saga_id)["products"]
            outcome["action"] = "updated"
        except CommerceError as error:
            outcome["action"] = "put off" if isinstance(error, Busy) else "failed"
            outcome["why"] = f"{type(error).__name__}: {error}"
            context.log.warning("saga %s: %s", saga_id, outcome["why"])
            undo = opened_compensator(context.resources, HOOK_PATIENCE_SECONDS)
            compensate_run(undo, context.run_id)
        outcomes.append(outcome)
    return outcomes


def _read(changes: dict[str, Any]) -> ProductChanges:
    try:
        return ProductChanges.model_validate(changes)
    except ValidationError as error:
        field, reason = first_fault(error)
        raise InvalidInput(f"changes.{field}: {reason}" if field else reason) from error


@dg.job(
    name=KIND,
    description=__doc__,
    executor_def=dg.in_process_executor,
    hooks={compensate_at_once},
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The flow."""
    update_products(receive_change())


@dg.sensor(
    name="product_update_messages",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts an update when changes of products wait; one run takes all that wait.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource, erp: ErpResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a run that takes all that wait."""
    if not erp.is_configured:
        return dg.SkipReason("There is no ERP: ERP_URL or ERP_API_KEY is not set.")
    return drain(context, store, KIND, TOPIC, waiting="changes")
