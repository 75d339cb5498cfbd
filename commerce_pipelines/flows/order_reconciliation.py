"""`order_reconciliation`: each day's orders of the store and of the ERP, compared.

Starts by its schedule for yesterday, and by backfills over any range of days, in one run.
What fails it: the ERP not answering; the days before are done, what is known of the others
stays. The check `nothing_differs` is red while a day of the last 30 has a discrepancy. With
`repair` in the run's config what is missing in the ERP is exported and a newer status
imported, by the sagas that always do it; the rest is left to a person. May run beside
itself: a day is replaced at once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from commerce_pipelines.domain.reconciliation import Discrepancy, Kind
from commerce_pipelines.flows.day_bars import day_bars
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.orders import ERP_ORDERS, GROUP, OWNERS, STORE_ORDERS
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.flows.tables import (
    DISCREPANCY_COLUMNS,
    DISCREPANCY_LINEAGE,
    preview,
)
from commerce_pipelines.services.order_reconciliation import OrderReconciliation, ReconciledDay
from commerce_pipelines.settings import Settings
from commerce_pipelines.store.discrepancies import count_by_day

KIND: Final = "order_reconciliation"
REPORT: Final = dg.AssetKey(["reports", KIND])
CHECK: Final = "nothing_differs"
LONGEST_RUN_SECONDS: Final = 4 * 3600
MOST_SHOWN: Final = 100
DAYS_SHOWN: Final = 30
MOST_DAYS_TOLD: Final = 10


class ReconcileConfig(dg.Config):
    """What to do about discrepancies."""

    repair: bool = Field(
        default=False,
        description="Export what is missing in the ERP, and import a newer status from there.",
    )


def partitions() -> dg.DailyPartitionsDefinition:
    """Returns the shop's days, from the first that is reconciled on."""
    settings = Settings.load()
    start = settings.reconciliation_start.isoformat()
    return dg.DailyPartitionsDefinition(start_date=start, timezone=settings.shop_time_zone)


def assets() -> dg.AssetsDefinition:
    """Returns the report, a partition a day of this stack's settings."""

    @dg.asset(
        key=REPORT,
        deps=[STORE_ORDERS, ERP_ORDERS],
        partitions_def=partitions(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={
            "dagster/table_name": "discrepancy",
            "dagster/column_schema": DISCREPANCY_COLUMNS,
            "dagster/column_lineage": DISCREPANCY_LINEAGE,
        },
        description="What differs between the store's orders and the ERP's, a day a partition.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"postgres", "pandas"},
        op_tags={"flow": KIND},
    )
    def reconcile_orders(
        context: dg.AssetExecutionContext,
        config: ReconcileConfig,
        store: StoreResource,
        erp: ErpResource,
    ) -> None:
        """Compares the days of the run and replaces what is known of them."""
        with shown_as_failures():
            _reconcile(context, store, erp, repair=config.repair)

    return reconcile_orders


def _reconcile(
    context: dg.AssetExecutionContext, store: StoreResource, erp: ErpResource, *, repair: bool
) -> None:
    zone = store.settings.shop_time_zone
    days = [date.fromisoformat(key) for key in context.partition_keys]
    flow = OrderReconciliation(store.engine, erp.open(), zone, context.run.run_id)
    for day in days:
        done = flow.reconcile(day, repair=repair)
        context.log.info("%s: %s orders here, %s there, %s", day, *_counts(done))
        metadata = {**_figures(done), **_picture(context, store, day, days)}
        context.add_asset_metadata(metadata, REPORT, day.isoformat())


def _counts(done: ReconciledDay) -> tuple[int, int, str]:
    kinds = Counter(each.kind for each in done.found)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return done.ours, done.theirs, told or "nothing differs"


def _figures(done: ReconciledDay) -> dict[str, Any]:
    """Returns counts, amounts a currency, which is never added to another, and a table."""
    kinds = Counter(each.kind for each in done.found)
    return {
        "orders here": done.ours,
        "orders there": done.theirs,
        "dagster/row_count": len(done.found),
        **{str(kind): kinds[kind] for kind in Kind},
        **_amounts(done.found),
        "sent to repair": sum(each is not None for each in done.repaired_by),
        "discrepancies": preview(
            [_row(*each) for each in zip(done.found, done.repaired_by, strict=True)][:MOST_SHOWN],
            DISCREPANCY_COLUMNS,
        ),
    }


def _row(found: Discrepancy, repaired_by: str | None) -> dict[str, Any]:
    # Dagster keeps plain strings only, no members of an enumeration.
    values = {**found._asdict(), "kind": str(found.kind), "repaired_by": repaired_by}
    return {column.name: values[column.name] for column in DISCREPANCY_COLUMNS.columns}


def _amounts(found: Sequence[Discrepancy]) -> dict[str, int]:
    """Returns how much is in question by kind and currency, in the currency's minor unit."""
    amounts: Counter[str] = Counter()
    for each in found:
        amounts[f"{each.kind} in minor {each.currency_code}"] += each.amount_minor
    return dict(amounts)


def _picture(
    context: dg.AssetExecutionContext, store: StoreResource, day: date, days: Sequence[date]
) -> Mapping[str, Any]:
    """Returns the last days until this one, as a picture."""
    first = day - timedelta(days=DAYS_SHOWN - 1)
    with store.engine.connect() as connection:
        counts = count_by_day(connection, first)
    looked = {
        date.fromisoformat(key) for key in context.instance.get_materialized_partitions(REPORT)
    }
    looked |= {each for each in days if each <= day}
    shown = [first + timedelta(days=number) for number in range(DAYS_SHOWN)]
    bars = [
        (each, sum(counts.get(each, {}).values()) if each in looked else None) for each in shown
    ]
    return {f"the last {DAYS_SHOWN} days": dg.MetadataValue.md(day_bars(bars))}


@dg.asset_check(
    asset=REPORT,
    name=CHECK,
    description=f"No day of the last {DAYS_SHOWN} has an order that differs.",
)
def check(store: StoreResource) -> dg.AssetCheckResult:
    """Says on which of the last days something differs."""
    today = datetime.now(ZoneInfo(store.settings.shop_time_zone)).date()
    with store.engine.connect() as connection:
        counts = count_by_day(connection, today - timedelta(days=DAYS_SHOWN))
    total = sum(sum(kinds.values()) for kinds in counts.values())
    told = [
        f"{day}: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}"
        for day, kinds in sorted(counts.items(), reverse=True)
    ]
    more = len(told) - MOST_DAYS_TOLD
    lines = [*told[:MOST_DAYS_TOLD], *([f"… and {more} more days."] if more > 0 else [])]
    return dg.AssetCheckResult(
        passed=not total,
        description="; ".join(lines) or "Both sides agree on every order.",
        metadata={"discrepancies": total, "days": len(counts)},
    )


def job(reconciled: dg.AssetsDefinition) -> Any:
    """Returns the job over the report."""
    return dg.define_asset_job(
        KIND,
        selection=dg.AssetSelection.assets(*reconciled.keys),
        description=__doc__,
        executor_def=dg.in_process_executor,
        tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
    )


def schedule(job_: Any) -> dg.ScheduleDefinition:
    """Returns the schedule for yesterday, in the shop's time zone."""
    settings = Settings.load()
    zone = ZoneInfo(settings.shop_time_zone)

    @dg.schedule(
        name="orders_of_yesterday",
        job=job_,
        cron_schedule="30 0 * * *",
        execution_timezone=settings.shop_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Reconciles yesterday's orders every night at half past midnight.",
    )
    def daily(
        context: dg.ScheduleEvaluationContext, erp: ErpResource
    ) -> dg.RunRequest | dg.SkipReason:
        if not erp.is_configured:
            return dg.SkipReason("There is no ERP: ERP_URL or ERP_API_KEY is not set.")
        today = context.scheduled_execution_time.astimezone(zone).date()
        yesterday = today - timedelta(days=1)
        if yesterday < settings.reconciliation_start:
            return dg.SkipReason("RECONCILIATION_START is still to come.")
        key = yesterday.isoformat()
        return dg.RunRequest(partition_key=key, run_key=key)

    return daily
