"""`price_book_refresh`: what the ERP says of prices, stock and purchase rules, into the store.

Starts on the ERP's change messages, when the word on a variant is older than
`PRICE_BOOK_REFRESH_SECONDS`, or by hand, for some products or all. One run takes all
that is due, page by page. What fails it: the ERP not answering; the pages before stay,
the rest comes again by itself. Parks nothing, for there is nothing to undo. Must not
run beside itself, and does not: while one is at work another one ends, green.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from commerce_pipelines.errors import Busy
from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.pim_import import ERP_PRODUCTS, OWNERS, PRODUCTS
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.flows.tables import PRICE_COLUMNS, preview
from commerce_pipelines.flows.young_runs import has_young_run
from commerce_pipelines.services.drain import drain_key
from commerce_pipelines.services.price_book_refresh import KIND, MARK, Page, PriceBookRefresh
from commerce_pipelines.services.price_changes import TOPIC, ask_for
from commerce_pipelines.settings import Settings
from commerce_pipelines.store import price_book_figures as figures
from commerce_pipelines.store.price_book import Replaced
from commerce_pipelines.store.price_questions import Due, look

PRICE_BOOK = dg.AssetKey(["store", "price_book"])
STOCK_LEVELS = dg.AssetKey(["store", "stock_levels"])
PURCHASE_RULES = dg.AssetKey(["store", "purchase_rules"])
LONGEST_RUN_SECONDS = 1800
SENSOR_SECONDS = 5
MOST_SHOWN = 50
# After a run that failed the next one waits so long; longer when the ERP stays away.
PAUSE_SECONDS = 60
LONG_PAUSE_SECONDS = 600


class RefreshConfig(dg.Config):
    """What to fetch beside what is due."""

    products: list[str] = Field(
        default_factory=list, description="Ids or handles of products, ids or SKUs of variants."
    )
    whole: bool = Field(default=False, description="Fetch all, however young.")


def assets() -> dg.AssetsDefinition:
    """Returns the assets, which must be as fresh as the settings say."""

    @dg.multi_asset(name="refresh_price_book", specs=_specs(_freshness(Settings.load())))
    def refresh_price_book(
        context: dg.AssetExecutionContext,
        config: RefreshConfig,
        store: StoreResource,
        erp: ErpResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        """Fetches what messages name and what is due, and replaces its rows page by page."""
        with shown_as_failures():
            if config.products or config.whole:
                with store.engine.begin() as connection:
                    ask_for(connection, context.run.run_id, config.products, whole=config.whole)
            total = _refresh(context, store, erp)
        if total is not None:
            yield from _results(total, store)

    return refresh_price_book


def _freshness(settings: Settings) -> dg.FreshnessPolicy:
    fresh_seconds = max(120.0, settings.price_book_fresh_seconds)
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(seconds=fresh_seconds),
        warn_window=timedelta(seconds=max(60.0, fresh_seconds / 2)),
    )


def _specs(freshness: dg.FreshnessPolicy) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            key,
            deps=[ERP_PRODUCTS, PRODUCTS],
            description=description,
            metadata={"dagster/table_name": table},
            skippable=True,
            group_name="catalogue",
            owners=OWNERS,
            kinds={"postgres"},
            freshness_policy=freshness,
        )
        for key, table, description in (
            (PRICE_BOOK, "price_book", "What a variant costs, by currency, group and tier."),
            (STOCK_LEVELS, "stock_level", "How much of a variant can be sold."),
            (PURCHASE_RULES, "purchase_rule", "Which companies may buy which variants."),
        )
    ]


def _refresh(
    context: dg.AssetExecutionContext, store: StoreResource, erp: ErpResource
) -> Counter[str] | None:
    """Takes page by page and returns the sums; None when another refresh is at work."""
    settings = store.settings
    flow = PriceBookRefresh(
        store.ledger,
        erp.open(),
        context.run.run_id,
        settings.price_book_refresh_seconds,
        settings.price_book_currencies,
    )
    started = time.monotonic()
    total: Counter[str] = Counter()
    try:
        with closing(flow.pages()) as pages:
            for page in pages:
                total.update(_counted(page))
                if page.error is not None:
                    context.log.warning("%s variants: %s", page.variants, page.error)
    except Busy as busy:
        context.log.info("%s It takes what waits.", busy)
        return None
    finally:
        context.log.info("refreshed: %s", dict(total) or "nothing")
    total["milliseconds"] = round((time.monotonic() - started) * 1e3)
    return total


def _counted(page: Page) -> dict[str, int]:
    counts = {"pages": 1, "variants": page.variants, "faulty": len(page.faults)}
    parts: dict[str, Replaced] = {"price": page.prices, "stock": page.stock, "rule": page.rules}
    for name, replaced in parts.items():
        counts |= {
            f"{name}_changed": replaced.changed,
            f"{name}_unchanged": replaced.unchanged,
            f"{name}_outdated": replaced.outdated,
        }
    return counts


def _results(total: Counter[str], store: StoreResource) -> Iterator[dg.MaterializeResult[Any]]:
    with store.engine.connect() as connection:
        contents = figures.load_contents(connection)
        rows = figures.latest_prices(connection, limit=10)
        faults = figures.list_faults(connection, MOST_SHOWN)
    seconds = total["milliseconds"] / 1e3
    oldest_seconds = round(contents.oldest_seconds or 0.0, 1)
    both: dict[str, Any] = {"variants": total["variants"], "oldest_seconds": oldest_seconds}
    more: dict[str, Any] = {
        "seconds": seconds,
        "pages": total["pages"],
        "faulty": contents.faulty,
        "faults": dg.MetadataValue.json(faults),
        "dagster/column_schema": PRICE_COLUMNS,
        "preview": preview(rows, PRICE_COLUMNS),
    }
    counts = {
        PRICE_BOOK: (contents.prices, "price", more),
        STOCK_LEVELS: (contents.stock_levels, "stock", {}),
        PURCHASE_RULES: (contents.purchase_rules, "rule", {}),
    }
    for key, (row_count, name, rest) in counts.items():
        changes = {
            change: total[f"{name}_{change}"] for change in ("changed", "unchanged", "outdated")
        }
        yield dg.MaterializeResult(
            asset_key=key, metadata={"dagster/row_count": row_count, **changes, **both, **rest}
        )


job = dg.define_asset_job(
    KIND,
    selection=dg.AssetSelection.assets(PRICE_BOOK, STOCK_LEVELS, PURCHASE_RULES),
    description=__doc__,
    executor_def=dg.in_process_executor,
    hooks={compensate_at_once},
    tags={"flow": KIND, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)


@dg.sensor(
    name="price_book",
    job=job,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a refresh when the ERP says that something changed, or a word is old.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource, erp: ErpResource
) -> dg.RunRequest | dg.SkipReason:
    """Asks the inbox and the ages; a run that is at work takes what comes meanwhile."""
    if not erp.is_configured:
        return dg.SkipReason("There is no ERP: ERP_URL or ERP_API_KEY is not set.")
    now = datetime.now(UTC)
    with store.engine.connect() as connection:
        due = look(connection, KIND, MARK, store.settings.price_book_refresh_seconds)
        if due.is_at_work:
            return dg.SkipReason("A refresh is at work; it takes what waits.")
        key = drain_key(connection, TOPIC, now)
    if key is None and not due.has_due:
        return dg.SkipReason("Nothing has changed, and nothing is old.")
    if has_young_run(context.instance, KIND):
        return dg.SkipReason("A refresh has just been started.")
    return dg.RunRequest(run_key=key or _age_key(due, now))


def _age_key(due: Due, now: datetime) -> str:
    """Names what is oldest, and a moment: a failed run is tried again, more and more seldom."""
    oldest = due.oldest_at.timestamp() if due.oldest_at else 0.0
    since_seconds = now.timestamp() - oldest
    pause = PAUSE_SECONDS if since_seconds < 2 * LONG_PAUSE_SECONDS else LONG_PAUSE_SECONDS
    return f"age:{oldest:.0f}:{now.timestamp() // pause:.0f}"
