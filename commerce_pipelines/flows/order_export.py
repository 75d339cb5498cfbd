"""`order_export`: the store's orders, to the ERP.

Starts on waiting messages; one run takes all that wait, each in a saga of its own, several
at once. What fails it: an order that the ERP refuses, or does not answer; the others are
brought first, the failed one is undone at once by the hook, or finished if it was being
confirmed, and what was undone comes again. What is parked: what cannot go forward any
more, and the undo of a draft that somebody has confirmed. May run beside itself: an order
has one saga at a time.
"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg

from commerce_pipelines.errors import CommerceError, Unavailable, Unknown
from commerce_pipelines.flows.drains import drain
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.orders import ERP_ORDERS
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.flows.tables import EXPORT_COLUMNS, preview
from commerce_pipelines.services.order_export import KIND, ORDERS, OrderExport

LONGEST_RUN_SECONDS = 1800
SENSOR_SECONDS = 5
MOST_SHOWN = 50
AT_ONCE = 4
# So many exports in a row without an answer: the ERP is away, the rest would fail too.
MOST_UNANSWERED = 3
_COUNTED = ("exported", "found", "known", "cancelled", "failed")


@dg.op
def export_orders(context: dg.OpExecutionContext, store: StoreResource, erp: ErpResource) -> None:
    """Brings each waiting order to the ERP. Undo: cancel the draft; forward once confirmed."""
    with shown_as_failures():
        outcomes = _drain(context, OrderExport(store.ledger, erp.open(), context.run_id))
    counts = Counter(str(outcome["action"]) for outcome in outcomes)
    told = ", ".join(f"{counts[name]} {name}" for name in _COUNTED)
    context.log.info("%s: %s", "done" if outcomes else "nothing to do", told)
    metadata: dict[str, Any] = {
        **{name: counts[name] for name in _COUNTED},
        "preview": preview(outcomes[:MOST_SHOWN], EXPORT_COLUMNS),
    }
    if counts["exported"]:
        context.log_event(dg.AssetMaterialization(ERP_ORDERS, metadata=metadata))
    if counts["failed"]:
        reason = next(each["why"] for each in outcomes if each["action"] == "failed")
        raise dg.Failure(
            f"{counts['failed']} of {len(outcomes)} orders could not be brought to the ERP; they "
            f"are undone or finished, and what is undone comes again by itself. {reason}",
            metadata=metadata,
            allow_retries=False,
        )
    context.add_output_metadata(metadata)


def _drain(context: dg.OpExecutionContext, flow: OrderExport) -> list[dict[str, Any]]:
    """Exports order by order, several at once; one that fails does not stop the others."""
    outcomes: list[dict[str, Any]] = []
    over = threading.Event()

    def work() -> None:
        unanswered = 0
        while unanswered < MOST_UNANSWERED and not over.is_set() and (saga_id := flow.claim()):
            outcome = _export(context, flow, saga_id)
            unanswered = unanswered + 1 if outcome["is_unanswered"] else 0
            outcomes.append(outcome)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="export") as pool:
        try:
            for each in [pool.submit(work) for _ in range(AT_ONCE)]:
                each.result()
        finally:
            over.set()
    return [{column: each.get(column) for column in _SHOWN} for each in outcomes]


def _export(context: dg.OpExecutionContext, flow: OrderExport, saga_id: str) -> dict[str, Any]:
    try:
        return {**flow.export(saga_id), "is_unanswered": False}
    except CommerceError as error:
        why = f"{type(error).__name__}: {error}"
        context.log.warning("saga %s failed: %s", saga_id, why)
        is_unanswered = isinstance(error, Unavailable | Unknown)
        return {"action": "failed", "why": why, "is_unanswered": is_unanswered}


_SHOWN = tuple(column.name for column in EXPORT_COLUMNS.columns)


@dg.job(
    name=KIND,
    description=__doc__,
    executor_def=dg.in_process_executor,
    hooks={compensate_at_once},
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The export."""
    export_orders()


@dg.sensor(
    name="order_messages",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts an export when orders wait; one run takes all that wait.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource, erp: ErpResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a run that takes all that wait."""
    if not erp.is_configured:
        return dg.SkipReason("There is no ERP: ERP_URL or ERP_API_KEY is not set.")
    return drain(context, store, KIND, ORDERS, waiting="orders")
