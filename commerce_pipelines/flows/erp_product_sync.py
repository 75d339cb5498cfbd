"""`erp_product_sync`: the ERP's products into the store, with their ids there.

Starts by its schedule, daily at midnight of the shop if not set otherwise, and by
hand in the UI. Reads what changed since the last one, page by page; a page is one
saga, and what is in stays in: an interrupted sync is gone on with by the next. What
fails it: the ERP not answering, or products that others hold for long. What is parked:
nothing but what a person has changed by hand. Must not run beside itself, and does
not: while one is at work another one ends, green.
"""

import time
from collections import Counter
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.pim_import import ERP_PRODUCTS, PRODUCTS
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.flows.tables import PRODUCT_COLUMNS, preview
from commerce_pipelines.services.erp_product_sync import KIND, ErpProductSync
from commerce_pipelines.settings import Settings
from commerce_pipelines.store import reports

LONGEST_RUN_SECONDS = 4 * 3600
MOST_SHOWN = 50


class Start(NamedTuple):
    """Where to begin.

    Attributes:
        since: From when on changes are read; None for all.
    """

    since: Any


class SyncConfig(dg.Config):
    """What to read."""

    whole: bool = Field(
        default=False, description="Read all products, not only those that changed since."
    )


@dg.op
def find_start(
    context: dg.OpExecutionContext, config: SyncConfig, store: StoreResource, erp: ErpResource
) -> Start:
    """Looks up how far the ERP was read."""
    flow = ErpProductSync(store.ledger, erp.open(), context.run_id)
    start = Start(flow.find_start(whole=config.whole))
    context.log.info("to be read: %s", f"changes since {start.since}" if start.since else "all")
    return start


@dg.op
def upsert_erp_products(
    context: dg.OpExecutionContext, start: Start, store: StoreResource, erp: ErpResource
) -> dict[str, Any]:
    """Takes page by page, a saga each, with how far it reaches. Undo: delete, restore."""
    flow = ErpProductSync(store.ledger, erp.open(), context.run_id)
    started = time.monotonic()
    total: Counter[str] = Counter()

    def tell(result: dict[str, Any]) -> None:
        total.update({name: result[name] for name in ("created", "updated", "unchanged")})
        context.log.info("in so far: %s", dict(total))

    with shown_as_failures():
        synced = flow.sync(start.since, tell)
    if synced.left_to_another:
        context.log.info("another sync is at work; this one leaves it to that")
    return {
        "counts": dict(synced.counts),
        "rejected": synced.rejected,
        "seconds": time.monotonic() - started,
    }


@dg.op(out=dg.Out(dg.Nothing))
def report_erp_products(
    context: dg.OpExecutionContext, synced: dict[str, Any], store: StoreResource
) -> None:
    """Shows what the run did in the store."""
    with store.engine.connect() as connection:
        row_count = reports.count_products(connection)
        rows = reports.latest_products(connection, limit=10)
    counts = {name: synced["counts"].get(name, 0) for name in _COUNTED}
    context.log.info("done: %s", ", ".join(f"{n} {name}" for name, n in counts.items()))
    metadata = {
        "dagster/row_count": row_count,
        **counts,
        "seconds": round(synced["seconds"], 3),
        "rejections": dg.MetadataValue.json(synced["rejected"][:MOST_SHOWN]),
        "preview": preview(rows, PRODUCT_COLUMNS),
    }
    context.log_event(dg.AssetMaterialization(PRODUCTS, metadata=metadata))
    context.add_output_metadata(metadata)


_COUNTED = ("created", "updated", "unchanged", "rejected", "pages")

foreign = dg.AssetSpec(
    ERP_PRODUCTS,
    description="What the ERP sells: SKUs, and the ids under which it knows its prices and stock.",
    kinds={"api"},
    group_name="catalogue",
)


@dg.job(
    name=KIND,
    description=__doc__,
    executor_def=dg.in_process_executor,
    hooks={compensate_at_once},
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The flow."""
    report_erp_products(upsert_erp_products(find_start()))


def schedule() -> dg.ScheduleDefinition:
    """Returns the schedule of this stack's settings."""
    settings = Settings.load()

    @dg.schedule(
        name="erp_products_daily",
        job=job,
        cron_schedule=settings.erp_sync_cron,
        execution_timezone=settings.shop_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Syncs the ERP's products, daily at midnight unless set otherwise.",
    )
    def daily(erp: ErpResource) -> dg.RunRequest | dg.SkipReason:
        if not erp.is_configured:
            return dg.SkipReason("There is no ERP: ERP_URL or ERP_API_KEY is not set.")
        return dg.RunRequest()

    return daily
