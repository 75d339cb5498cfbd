"""`pim_import`: the PIM's products into the store, and their documents into Sanity.

Starts on waiting messages (sensor, or at once by the endpoint), or by hand with
products typed into the config of `open_pages`. One run drains many messages,
page by page; a page is one saga. What fails a page: Sanity does not answer, or
a product is in the hands of another saga; the page is undone at once by the
hook, and its messages come again. What is parked: an undo that Sanity refuses.
Nothing must not run beside it.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from commerce_pipelines.flows.drains import drain
from commerce_pipelines.flows.failures import is_tried_again, shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.resources import SanityResource, StoreResource
from commerce_pipelines.flows.tables import (
    DOCUMENT_COLUMNS,
    PRODUCT_COLUMNS,
    preview,
    same_columns,
)
from commerce_pipelines.services.pim_import import KIND, TOPICS, PimImport, count_pages, deliver
from commerce_pipelines.store import reports

FEED = dg.AssetKey(["pim", "products"])
ERP_PRODUCTS = dg.AssetKey(["erp", "products"])
PRODUCTS = dg.AssetKey(["store", "products"])
DOCUMENTS = dg.AssetKey(["sanity", "product_documents"])
OWNERS = ["team:commerce"]
LONGEST_RUN_SECONDS = 1800
SENSOR_SECONDS = 5


class ImportConfig(dg.Config):
    """What to import beside the messages that wait."""

    products: list[dict[str, Any]] = Field(
        default_factory=list,
        description='Products as the PIM sends them: `- {title: "Mug", sku: "MUG-1"}`.',
    )


@dg.op(ins={"feed": dg.In(dg.Nothing), "linked": dg.In(dg.Nothing)}, out=dg.DynamicOut(int))
def open_pages(
    context: dg.OpExecutionContext, config: ImportConfig, store: StoreResource
) -> Iterator[Any]:
    """Says how many pages of products wait; products typed into the config wait with them."""
    with store.engine.begin() as connection:
        if config.products:
            deliver(connection, "launchpad", context.run_id, config.products)
        pages = count_pages(connection)
    context.log.info("%s pages wait", pages)
    for page in range(pages):
        yield dg.DynamicOutput(page, mapping_key=f"page_{page + 1}")


@dg.op(out=dg.Out(dict))
def upsert_products(
    context: dg.OpExecutionContext, page: int, store: StoreResource, sanity: SanityResource
) -> dict[str, Any]:
    """Claims the next page for a saga and upserts its products. Undo: delete, restore."""
    flow = PimImport(store.ledger, sanity.open(), context.run_id)
    started = time.monotonic()
    with shown_as_failures():
        opened = flow.open_page()
        if opened is None:
            context.log.info("page %s: nothing waits any more", page + 1)
            return {}
        counts = flow.store_page(opened)
    return {"saga_id": opened.saga_id, "seconds": time.monotonic() - started, **counts}


@dg.op(out=dg.Out(dict), tags={"dagster/priority": "1"})
def write_documents(
    context: dg.OpExecutionContext,
    stored: dict[str, Any],
    store: StoreResource,
    sanity: SanityResource,
) -> dict[str, Any]:
    """Writes the documents of what changed and ends the saga. Undo: delete, restore our fields."""
    if not stored:
        return {}
    flow = PimImport(store.ledger, sanity.open(), context.run_id)
    started = time.monotonic()
    with shown_as_failures():
        counts = flow.publish_page(stored["saga_id"], is_tried_again=is_tried_again(context))
    return {"seconds": time.monotonic() - started, **counts}


@dg.op(out=dg.Out(dg.Nothing))
def report_products(
    context: dg.OpExecutionContext, pages: list[dict[str, Any]], store: StoreResource
) -> None:
    """Shows what the run did in the store."""
    total = _sum(pages)
    with store.engine.connect() as connection:
        rejected = reports.rejections_of_run(connection, context.run_id, limit=50)
        rows = reports.latest_products(connection, limit=10)
        row_count = reports.count_products(connection)
    context.add_output_metadata(
        {
            "dagster/row_count": row_count,
            "created": int(total["created"]),
            "updated": int(total["updated"]),
            "unchanged": int(total["unchanged"]),
            "skipped": int(total["rejected"]),
            "seconds": round(total["seconds"], 3),
            "rejections": dg.MetadataValue.json(rejected),
            "preview": preview(rows, PRODUCT_COLUMNS),
        }
    )


@dg.op(out=dg.Out(dg.Nothing))
def report_documents(
    context: dg.OpExecutionContext, pages: list[dict[str, Any]], store: StoreResource
) -> None:
    """Shows what the run did in the CMS."""
    total = _sum(pages)
    with store.engine.connect() as connection:
        row_count = reports.count_documents(connection)
    context.add_output_metadata(
        {
            "dagster/row_count": row_count,
            "written": int(total["written"]),
            "unchanged": int(total["unchanged"]),
            "seconds": round(total["seconds"], 3),
        }
    )


@dg.graph(
    out={"products": dg.GraphOut(), "documents": dg.GraphOut()},
    description=__doc__,
)
def import_pages(feed: Any, linked: Any) -> dict[str, Any]:
    """The flow; its products may have come by the ERP's sync before."""
    stored = open_pages(feed=feed, linked=linked).map(upsert_products)
    written = stored.map(write_documents)
    return {
        "products": report_products(stored.collect()),
        "documents": report_documents(written.collect()),
    }


feed = dg.AssetSpec(
    FEED,
    description="What the PIM knows of our products; it sends changes as signed webhooks.",
    kinds={"webhook"},
    group_name="catalogue",
)

assets = dg.AssetsDefinition.from_graph(
    import_pages,
    keys_by_input_name={"feed": FEED, "linked": ERP_PRODUCTS},
    keys_by_output_name={"products": PRODUCTS, "documents": DOCUMENTS},
    internal_asset_deps={"products": {FEED, ERP_PRODUCTS}, "documents": {PRODUCTS}},
    group_name="catalogue",
    descriptions_by_output_name={
        "products": "The store's products with their options, variants and prices.",
        "documents": "One Sanity document a product: our fields follow the feed, "
        "all others belong to the editors.",
    },
    owners_by_output_name={"products": OWNERS, "documents": OWNERS},
    tags_by_output_name={
        "products": {"dagster/kind/postgres": ""},
        "documents": {"dagster/kind/sanity": ""},
    },
    metadata_by_output_name={
        "products": {
            "dagster/table_name": "product",
            "dagster/column_schema": PRODUCT_COLUMNS,
        },
        "documents": {
            "dagster/table_name": "product",
            "dagster/column_schema": DOCUMENT_COLUMNS,
            "dagster/column_lineage": same_columns(
                PRODUCTS, ["title", "handle", "status", "brand"]
            ),
        },
    },
    hook_defs={compensate_at_once},
)

job = dg.define_asset_job(
    KIND,
    selection=dg.AssetSelection.assets(PRODUCTS, DOCUMENTS).without_checks(),
    description=__doc__,
    executor_def=dg.in_process_executor,
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)


@dg.sensor(
    name="pim_messages",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts an import when products wait; one run takes all that wait.",
)
def messages_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks for a run that takes all that wait."""
    return drain(context, store, KIND, *TOPICS, waiting="products")


def _sum(pages: list[dict[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for page in pages:
        total.update({name: n for name, n in page.items() if isinstance(n, int | float)})
    return total
