"""`brand_push`: brands created or changed in the store, to the brand system.

Starts on waiting messages; one run takes all that wait, each in a saga of its own.
What fails it: a push that the brand system refuses or does not answer; the others
are brought first, the failed one is undone at once by the hook, and its message
comes again. What is parked: an undo that the brand system refuses. May run beside
itself: a message has one saga at a time.
"""

from collections import Counter
from typing import Any

import dagster as dg

from commerce_pipelines.errors import CommerceError, Unavailable, Unknown
from commerce_pipelines.flows.drains import drain
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.resources import BrandsResource, StoreResource
from commerce_pipelines.flows.tables import PUSH_COLUMNS, preview
from commerce_pipelines.services.brand_push import KIND, TOPIC, BrandPush

LONGEST_RUN_SECONDS = 1800
SENSOR_SECONDS = 5
MOST_SHOWN = 50
# So many pushes in a row without an answer: the brand system is away, the rest would fail too.
MOST_UNANSWERED = 3
_COUNTED = ("created", "updated", "lost", "unchanged", "failed")


@dg.op
def push_brands(
    context: dg.OpExecutionContext, store: StoreResource, brands: BrandsResource
) -> None:
    """Brings each waiting brand to the other side. Undo: delete, put back, forget the link."""
    with shown_as_failures():
        outcomes = _drain(context, BrandPush(store.ledger, brands.open(), context.run_id))
    counts = Counter(str(outcome["action"]) for outcome in outcomes)
    told = ", ".join(f"{counts[name]} {name}" for name in _COUNTED)
    context.log.info("%s: %s", "done" if outcomes else "nothing to do", told)
    shown = [
        {column.name: each.get(column.name) for column in PUSH_COLUMNS.columns}
        for each in outcomes[:MOST_SHOWN]
    ]
    metadata: dict[str, Any] = {
        **{name: counts[name] for name in _COUNTED},
        "preview": preview(shown, PUSH_COLUMNS),
    }
    if counts["failed"]:
        reason = next(each["why"] for each in outcomes if each["action"] == "failed")
        raise dg.Failure(
            f"{counts['failed']} of {len(outcomes)} brands could not be brought to the brand "
            f"system; they are undone, and come again by themselves. {reason}",
            metadata=metadata,
            allow_retries=False,
        )
    context.add_output_metadata(metadata)


def _drain(context: dg.OpExecutionContext, flow: BrandPush) -> list[dict[str, Any]]:
    """Pushes message by message; one that fails does not stop the others."""
    outcomes: list[dict[str, Any]] = []
    unanswered = 0
    while unanswered < MOST_UNANSWERED and (saga_id := flow.claim()):
        try:
            outcome = flow.push(saga_id)
            unanswered = 0
        except CommerceError as error:
            outcome = {"action": "failed", "why": f"{type(error).__name__}: {error}"}
            unanswered = unanswered + 1 if isinstance(error, Unavailable | Unknown) else 0
            context.log.warning("saga %s failed: %s", saga_id, outcome["why"])
        outcomes.append(outcome)
    return outcomes


@dg.job(
    name=KIND,
    description=__doc__,
    executor_def=dg.in_process_executor,
    hooks={compensate_at_once},
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The push."""
    push_brands()


@dg.sensor(
    name="brand_messages",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a push when brands of the store wait; one run takes all that wait.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource, brands: BrandsResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a run that takes all that wait."""
    if not brands.is_configured:
        return dg.SkipReason("There is no brand system: BRANDS_URL or BRANDS_API_KEY is not set.")
    return drain(context, store, KIND, TOPIC, waiting="brands")
