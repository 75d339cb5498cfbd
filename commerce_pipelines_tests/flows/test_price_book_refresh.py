"""The price book in Dagster: its runs and sensor, on real Postgres and a hand-made ERP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.errors import Unavailable
from commerce_pipelines.flows.price_book_refresh import (
    PRICE_BOOK,
    PURCHASE_RULES,
    STOCK_LEVELS,
    sensor,
)
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import PriceBookRefresh
from commerce_pipelines.store.price_questions import track_variants
from commerce_pipelines_tests.flows.brand_ground import failure_of
from commerce_pipelines_tests.flows.price_book_ground import (
    configured_for,
    execute,
    resource_of,
    selling_erp,
)
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.erp_prices import PricedErp, announce, change, rows, sold

AWAY = Unavailable("The ERP is away.")
_MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's store; nobody else is asked."""
    with configured_for(postgres_url):
        yield


@pytest.fixture
def erp(engine: Engine) -> PricedErp:
    """An ERP that sells two variants of ours."""
    return selling_erp(engine)


def tick(erp: Erp, instance: dg.DagsterInstance) -> Any:
    """Lets the sensor look once."""
    resources = {"store": StoreResource(), "erp": resource_of(erp)}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        return sensor(context)


def made(result: dg.ExecuteInProcessResult) -> dict[dg.AssetKey, dict[str, Any]]:
    """Returns what the materializations show, numbers as they are."""
    return {
        event.asset_key: {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def test_a_run_fills_the_three_assets_and_shows_numbers(
    erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    result = execute(erp, instance)

    assert result.success
    shown = made(result)
    assert set(shown) == {PRICE_BOOK, STOCK_LEVELS, PURCHASE_RULES}
    book = shown[PRICE_BOOK]
    numbers = ("dagster/row_count", "changed", "unchanged", "outdated", "variants", "faulty")
    assert [book[name] for name in numbers] == [2, 2, 0, 0, 2, 0]
    assert isinstance(book["seconds"], float)
    assert isinstance(book["oldest_seconds"], float)
    assert [record.data["sku"] for record in book["preview"].records] == ["sku-a", "sku-b"]
    assert shown[STOCK_LEVELS]["dagster/row_count"] == 2


def test_some_products_can_be_fetched_by_hand(
    engine: Engine, erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    assert execute(erp, instance).success

    for name in ("p-a", "v-a", "sku-a", "a"):
        result = execute(erp, instance, products=[name])
        assert made(result)[PRICE_BOOK]["variants"] == 1

    assert made(execute(erp, instance, products=["a", "sku-a", "b"]))[PRICE_BOOK]["variants"] == 2
    assert made(execute(erp, instance, whole=True))[PRICE_BOOK]["variants"] == 2
    assert made(execute(erp, instance))[PRICE_BOOK]["variants"] == 0


def test_a_product_that_is_not_there_is_named(erp: PricedErp, instance: dg.DagsterInstance) -> None:
    result = execute(erp, instance, products=["a", "nowhere"])

    assert not result.success
    told = "NotFound: No variant with an id of the ERP is called nowhere."
    assert failure_of(result) == told
    assert erp.asked == []


def test_an_erp_that_is_away_fails_the_run_and_the_next_one_goes_on(
    engine: Engine, erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    announce(engine, "w1", "Ea")
    erp.script("fetch_stock", failing(AWAY))

    result = execute(erp, instance)

    assert failure_of(result) == "Unavailable: The ERP is away."
    # The hook has ended the saga, so nothing keeps the next one out.
    assert rows(engine, "SELECT status FROM saga") == [("compensated",)]
    assert made(execute(erp, instance))[PRICE_BOOK]["variants"] == 2


def test_a_second_run_ends_green_and_leaves_it_to_the_first(
    engine: Engine, erp: PricedErp, instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    first = PriceBookRefresh(ledger, erp, "run-1", 300.0).pages()
    next(first)

    result = execute(erp, instance, products=["a"])

    assert result.success
    assert made(result) == {}
    # The wish waits for the one that is at work.
    assert [page.variants for page in first] == [1]


def test_the_sensor_starts_a_run_for_what_is_new_old_or_announced(
    engine: Engine, erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    request = tick(erp, instance)
    assert isinstance(request, dg.RunRequest)
    assert str(request.run_key).startswith("age:")
    assert execute(erp, instance).success
    assert isinstance(tick(erp, instance), dg.SkipReason)

    announce(engine, "w1", "Ea")
    request = tick(erp, instance)
    assert str(request.run_key).startswith("drain:price_book:")
    assert execute(erp, instance).success
    assert isinstance(tick(erp, instance), dg.SkipReason)

    sold(engine, "c")
    with engine.begin() as connection:
        track_variants(connection)
    assert isinstance(tick(erp, instance), dg.RunRequest)
    assert execute(erp, instance).success

    change(engine, "UPDATE asked_variant SET asked_at = now() - interval '301 s'")
    assert isinstance(tick(erp, instance), dg.RunRequest)
    assert execute(erp, instance).success
    assert isinstance(tick(erp, instance), dg.SkipReason)


def test_the_sensor_waits_while_a_refresh_is_at_work(
    erp: PricedErp, instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    pages = PriceBookRefresh(ledger, erp, "run-1", 300.0).pages()
    next(pages)

    told = tick(erp, instance)

    assert isinstance(told, dg.SkipReason)
    assert "at work" in str(told.skip_message)
    assert list(pages) == []


def test_while_the_erp_is_away_runs_are_few(
    erp: PricedErp, instance: dg.DagsterInstance, engine: Engine
) -> None:
    assert execute(erp, instance).success
    change(engine, "UPDATE asked_variant SET asked_at = now() - interval '1 hour'")

    keys = {tick(erp, instance).run_key for _ in range(5)}

    # Unless ten minutes are over just now.
    assert len(keys) <= 2


def test_without_an_erp_nothing_is_started(instance: dg.DagsterInstance, erp: PricedErp) -> None:
    del os.environ["ERP_API_KEY"]

    told = tick(erp, instance)

    assert isinstance(told, dg.SkipReason)
    assert "ERP_API_KEY" in str(told.skip_message)


def test_the_assets_must_be_as_fresh_as_a_cart_needs_them() -> None:
    os.environ["PRICE_BOOK_FRESH_SECONDS"] = "600"
    try:
        graph = build_defs().resolve_asset_graph()
    finally:
        del os.environ["PRICE_BOOK_FRESH_SECONDS"]

    for key in (PRICE_BOOK, STOCK_LEVELS, PURCHASE_RULES):
        policy = graph.get(key).freshness_policy
        assert isinstance(policy, type(dg.FreshnessPolicy.time_window(_MINUTE * 10)))
        assert policy.fail_window.to_timedelta() == _MINUTE * 10
        assert graph.get(key).parent_keys == {
            dg.AssetKey(["erp", "products"]),
            dg.AssetKey(["store", "products"]),
        }
