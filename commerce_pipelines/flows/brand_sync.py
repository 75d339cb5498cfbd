"""`brand_sync`: the brand system's brands into the store.

A schedule asks every minute what changed there and starts a run only if something
did; once an hour a run reads all, for what neither a time nor a number tells. What
fails it: the brand system not answering, or the store; the created and changed
brands are undone at once by the hook, and the next run starts afresh. What is
parked: the undo of a new brand that has products by now. Must not run beside
itself, and does not: while one is at work another one ends at once, green.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from commerce_pipelines.errors import Busy, CommerceError
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.resources import BrandsResource, StoreResource
from commerce_pipelines.flows.tables import BRAND_COLUMNS, preview, same_columns
from commerce_pipelines.flows.young_runs import has_young_run
from commerce_pipelines.services.brand_sync import KIND, BrandSync, Decision, Retrieved
from commerce_pipelines.store import brands as store_brands
from commerce_pipelines.store import reports

FOREIGN = dg.AssetKey(["brands", "brands"])
BRANDS = dg.AssetKey(["store", "brands"])
OWNERS = ["team:commerce"]
LONGEST_RUN_SECONDS = 900
MOST_SHOWN = 50
# The next tick asks again; this one must be over before.
TICK_PATIENCE_SECONDS = 5.0
WHOLE_EVERY_SECONDS = 3600
WHOLE = {"brands/whole": "true"}
WHOLE_CONFIG = {"ops": {"sync_brands": {"ops": {"retrieve_brands": {"config": {"whole": True}}}}}}


class Work(NamedTuple):
    """What was read, and what is to be done about it."""

    retrieved: Retrieved
    decision: Decision


class RetrieveConfig(dg.Config):
    """What to read."""

    whole: bool = Field(
        default=False, description="Read all brands, not only those that changed since."
    )


@dg.op(ins={"there": dg.In(dg.Nothing)})
def retrieve_brands(
    context: dg.OpExecutionContext,
    config: RetrieveConfig,
    store: StoreResource,
    brands: BrandsResource,
) -> Retrieved:
    """Reads what changed there since the last sync; all the first time."""
    with shown_as_failures():
        retrieved = _flow(context.run_id, store, brands).retrieve(whole=config.whole)
    read = "all" if retrieved.missing is not None else "the changed ones"
    context.log.info("%s of %s brands read: %s", len(retrieved.brands), retrieved.total, read)
    return retrieved


@dg.op(out=dg.Out(Work, is_required=False))
def decide_brands(
    context: dg.OpExecutionContext,
    retrieved: Retrieved,
    store: StoreResource,
    brands: BrandsResource,
) -> Iterator[dg.Output[Work]]:
    """Compares them with the store's and opens a saga for what is to be done."""
    with shown_as_failures():
        try:
            decision = _flow(context.run_id, store, brands).decide(retrieved)
        except Busy:
            context.log.info("another sync is at work; this one leaves it to that")
            return
    yield dg.Output(Work(retrieved, decision))


@dg.op
def create_brands(
    context: dg.OpExecutionContext, work: Work, store: StoreResource, brands: BrandsResource
) -> dict[str, Any]:
    """Creates the new ones and links those that the store has by name. Undo: delete, unlink."""
    saga_id = work.decision.saga_id
    if saga_id is None:
        return {}
    with shown_as_failures():
        return _flow(context.run_id, store, brands).create(saga_id, work.retrieved)


@dg.op(out=dg.Out(dg.Nothing))
def update_brands(
    context: dg.OpExecutionContext,
    created: dict[str, Any],
    work: Work,
    store: StoreResource,
    brands: BrandsResource,
) -> None:
    """Updates the changed ones, marks those that are gone, ends the saga. Undo: restore."""
    retrieved, decision = work
    done = {"left": decision.left, **created}
    if decision.saga_id is not None:
        with shown_as_failures():
            done |= _flow(context.run_id, store, brands).update(decision.saga_id, retrieved)
    counts = {name: done.get(name, 0) for name in ("created", "adopted", "updated", "gone")}
    counts |= {name: decision.actions.get(name, 0) for name in ("unchanged", "refused", "lost")}
    counts["rejected"] = len(retrieved.rejected)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    context.log.info("%s: %s", "done" if decision.saga_id else "nothing to do", told)
    context.add_output_metadata(
        {
            **counts,
            "left": dg.MetadataValue.json(done["left"][:MOST_SHOWN]),
            "rejections": dg.MetadataValue.json(retrieved.rejected[:MOST_SHOWN]),
            **_look(context, store),
        }
    )


@dg.graph(description=__doc__)
def sync_brands(there: Any) -> Any:
    """The flow."""
    retrieved = retrieve_brands(there)
    work = decide_brands(retrieved)
    return update_brands(create_brands(work), work)


foreign = dg.AssetSpec(
    FOREIGN,
    description="The brand system's brands; it is asked every minute what changed.",
    kinds={"api"},
    group_name="brands",
)

assets = dg.AssetsDefinition.from_graph(
    sync_brands,
    keys_by_input_name={"there": FOREIGN},
    keys_by_output_name={"result": BRANDS},
    group_name="brands",
    descriptions_by_output_name={"result": "The store's brands, each linked to the other side's."},
    owners_by_output_name={"result": OWNERS},
    tags_by_output_name={"result": {"dagster/kind/postgres": ""}},
    metadata_by_output_name={
        "result": {
            "dagster/table_name": "brand",
            "dagster/column_schema": BRAND_COLUMNS,
            "dagster/column_lineage": same_columns(FOREIGN, ["name", "description", "logo_url"]),
        }
    },
    hook_defs={compensate_at_once},
)

job = dg.define_asset_job(
    KIND,
    selection=dg.AssetSelection.assets(BRANDS).without_checks(),
    description=__doc__,
    executor_def=dg.in_process_executor,
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)


@dg.schedule(
    name="brand_changes",
    job=job,
    cron_schedule="* * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks the brand system what changed, and starts a sync if anything did.",
)
def schedule(
    context: dg.ScheduleEvaluationContext, store: StoreResource, brands: BrandsResource
) -> dg.RunRequest | dg.SkipReason:
    """Fails when the brand system does not answer: a red tick, and no run that would fail too."""
    if not brands.is_configured:
        return dg.SkipReason("There is no brand system: BRANDS_URL or BRANDS_API_KEY is not set.")
    minute = int(context.scheduled_execution_time.timestamp() // 60)
    if minute % store.settings.brand_sync_minutes:
        return dg.SkipReason(f"Asked every {store.settings.brand_sync_minutes} minutes only.")
    if has_young_run(context.instance, KIND):
        return dg.SkipReason("A sync has just been started.")
    if not _was_read_whole(context.instance):
        return dg.RunRequest(run_config=WHOLE_CONFIG, tags=WHOLE)
    retrieved = _ask(store, brands)
    if retrieved.changes_nothing:
        return dg.SkipReason(_nothing_changed(retrieved))
    return dg.RunRequest()


def _ask(store: StoreResource, brands: BrandsResource) -> Retrieved:
    try:
        return BrandSync(store.ledger, brands.open(TICK_PATIENCE_SECONDS), "schedule").retrieve()
    except CommerceError as error:
        raise dg.Failure(
            "The brand system could not be asked what changed. Nothing is lost, it is asked "
            f"again in a minute. {type(error).__name__}: {error}"
        ) from error


def _nothing_changed(retrieved: Retrieved) -> str:
    told = f"None of the {retrieved.total} brands there has changed"
    if not retrieved.rejected:
        return f"{told}."
    named = [
        f"{row['external_id'] or 'one without an id'}: {row['reason']}"
        for row in retrieved.rejected[:MOST_SHOWN]
    ]
    count = len(retrieved.rejected)
    return f"{told}, but for {count} that cannot be taken: {'; '.join(named)}."


def _was_read_whole(instance: dg.DagsterInstance) -> bool:
    """Tells whether a run was started to read all within the hour, whatever came of it."""
    after = datetime.now(UTC) - timedelta(seconds=WHOLE_EVERY_SECONDS)
    started = dg.RunsFilter(job_name=KIND, tags=WHOLE, created_after=after)
    return instance.get_runs_count(started) > 0


def _flow(run_id: str, store: StoreResource, brands: BrandsResource) -> BrandSync:
    return BrandSync(store.ledger, brands.open(), run_id)


def _look(context: dg.OpExecutionContext, store: StoreResource) -> dict[str, Any]:
    with store.engine.connect() as connection:
        row_count = store_brands.count_brands(connection)
        rows = reports.latest_brands(connection, limit=10)
    started = context.instance.get_run_stats(context.run_id).start_time
    return {
        "dagster/row_count": row_count,
        "seconds": round(time.time() - started, 3) if started else 0.0,
        "preview": preview(rows, BRAND_COLUMNS),
    }
