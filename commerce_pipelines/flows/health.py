"""Asset checks: what waits for a person is red in the catalogue, with the words of `status`.

Evaluated by a sensor that asks the tables a few times a minute and reports only
what has changed, so no run is needed; by hand they run like any other check.
What fails them: parked steps, dead messages; refused messages and a full inbox only
warn. May run beside everything, itself included: they only look.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import dagster as dg
from sqlalchemy import Connection

from commerce_pipelines.flows.brand_sync import BRANDS
from commerce_pipelines.flows.orders import STORE_ORDERS
from commerce_pipelines.flows.pim_import import DOCUMENTS, PRODUCTS
from commerce_pipelines.flows.price_book_refresh import PRICE_BOOK
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.services import areas
from commerce_pipelines.services.areas import Area
from commerce_pipelines.services.attention import (
    Concern,
    Concerns,
    backlog_concerns,
    dead_concerns,
    parked_concerns,
)
from commerce_pipelines.services.price_book_health import age_concerns
from commerce_pipelines.services.refusals import refused_concerns
from commerce_pipelines.settings import Settings

LOOK_SECONDS = 20
MOST_TOLD = 10


def _never(settings: Settings) -> bool:
    del settings
    return False


def _rests(area: Area, settings: Settings) -> bool:
    return area not in areas.waited_for(settings.systems)


def _price_book_ages(connection: Connection, limit: int) -> Concerns:
    del limit
    return age_concerns(connection, Settings.load().price_book_fresh_seconds)


class Check(NamedTuple):
    """A question about an asset, which passes when nothing is told.

    Attributes:
        look: Asks the tables.
        severity: How bad it is when it fails.
        rests: Tells of settings under which nothing is done, so that waiting is right.
    """

    key: dg.AssetCheckKey
    description: str
    look: Callable[[Connection, int], Concerns]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    rests: Callable[[Settings], bool] = _never


def _no_parked_sagas(asset: dg.AssetKey, area: Area) -> Check:
    return Check(
        dg.AssetCheckKey(asset, "no_parked_sagas"),
        "No saga is parked: none waits for a person before it is undone on both sides.",
        partial(parked_concerns, area=area),
    )


def _no_dead_messages(asset: dg.AssetKey, area: Area) -> Check:
    return Check(
        dg.AssetCheckKey(asset, "no_dead_messages"),
        "No message was given up after its tries.",
        partial(dead_concerns, area=area),
    )


def _no_refused_messages(asset: dg.AssetKey, area: Area) -> Check:
    return Check(
        dg.AssetCheckKey(asset, "no_refused_messages"),
        "No message was refused when it was tried last; it comes again by itself.",
        partial(refused_concerns, area=area),
        dg.AssetCheckSeverity.WARN,
    )


def _inbox_is_drained(asset: dg.AssetKey, area: Area) -> Check:
    return Check(
        dg.AssetCheckKey(asset, "inbox_is_drained"),
        "Messages do not wait for long, nor pile up.",
        partial(backlog_concerns, area=area),
        dg.AssetCheckSeverity.WARN,
        partial(_rests, area),
    )


CHECKS: Final = (
    _no_parked_sagas(PRODUCTS, areas.PRODUCTS),
    _no_parked_sagas(DOCUMENTS, areas.PRODUCTS),
    _no_parked_sagas(BRANDS, areas.BRANDS),
    _no_dead_messages(PRODUCTS, areas.PRODUCTS),
    _no_dead_messages(BRANDS, areas.BRANDS),
    _no_refused_messages(PRODUCTS, areas.PRODUCTS),
    _no_refused_messages(BRANDS, areas.BRANDS),
    _inbox_is_drained(PRODUCTS, areas.PRODUCTS),
    _inbox_is_drained(BRANDS, areas.BRANDS),
    _no_parked_sagas(STORE_ORDERS, areas.ORDERS),
    _no_dead_messages(STORE_ORDERS, areas.ORDERS),
    _no_refused_messages(STORE_ORDERS, areas.ORDERS),
    _inbox_is_drained(STORE_ORDERS, areas.ORDERS),
    _no_dead_messages(PRICE_BOOK, areas.PRICES),
    _no_refused_messages(PRICE_BOOK, areas.PRICES),
    _inbox_is_drained(PRICE_BOOK, areas.PRICES),
    Check(
        dg.AssetCheckKey(PRICE_BOOK, "is_fresh"),
        "What the ERP said of prices and stock is young enough for a cart to rely on.",
        _price_book_ages,
        rests=partial(_rests, areas.PRICES),
    ),
)


def evaluate(store: StoreResource, check: Check) -> dg.AssetCheckEvaluation:
    """Answers a check from the tables."""
    with store.engine.connect() as connection:
        rests = check.rests(store.settings)
        concerns = Concerns(0, []) if rests else check.look(connection, MOST_TOLD)
    text = concerns.text
    return dg.AssetCheckEvaluation(
        asset_key=check.key.asset_key,
        check_name=check.key.name,
        passed=not concerns.count,
        severity=check.severity,
        description=text or "Nothing waits for a person.",
        metadata={"count": concerns.count, **_links(concerns.told), **_told(text)},
    )


def _told(text: str) -> dict[str, dg.MetadataValue]:
    return {"what to do": dg.MetadataValue.md(f"```\n{text}\n```")} if text else {}


def _links(concerns: list[Concern]) -> dict[str, dg.MetadataValue]:
    """Returns links to the runs, by the saga or message that they worked on."""
    return {
        f"run of {next(iter(one.ids.values()))}": dg.MetadataValue.dagster_run(one.run_id)
        for one in concerns
        if one.run_id and one.ids
    }


def _by_hand(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=check.key.asset_key, name=check.key.name, description=check.description)
    def by_hand(store: StoreResource) -> dg.AssetCheckResult:
        """Evaluates the check in a run of its own."""
        found = evaluate(store, check)
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=found.severity,
            description=found.description,
            metadata=found.metadata,
        )

    return by_hand


asset_checks: Final = [_by_hand(check) for check in CHECKS]


@dg.sensor(
    name="health",
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Turns the asset checks red when something waits for a person, and green after.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult | dg.SkipReason:
    """Asks the tables, and reports what Dagster does not show yet."""
    found = [evaluate(store, check) for check in CHECKS]
    news = [each for each in found if not _is_shown(context.instance, each)]
    if not news:
        return dg.SkipReason("The checks show how things are.")
    return dg.SensorResult(asset_events=news)


def _is_shown(instance: dg.DagsterInstance, found: dg.AssetCheckEvaluation) -> bool:
    """Tells whether the catalogue says the same, whoever made it say so.

    It forgets what was found before an asset's last materialization.
    """
    record = instance.get_latest_asset_check_evaluation_record(found.asset_check_key)
    shown = record.evaluation if record else None
    if not (record and record.event and isinstance(shown, dg.AssetCheckEvaluation)):
        return False
    made = instance.get_latest_materialization_event(found.asset_key)
    is_newest = made is None or made.timestamp < record.event.timestamp
    return is_newest and (shown.passed, shown.description) == (found.passed, found.description)
