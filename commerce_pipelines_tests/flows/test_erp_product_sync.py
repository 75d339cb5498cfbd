"""`erp_product_sync` under Dagster, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.errors import ConfigurationError, Unavailable
from commerce_pipelines.flows import erp_product_sync
from commerce_pipelines.flows.pim_import import PRODUCTS
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.erp_product_sync import KIND
from commerce_pipelines_tests.flows.erp_ground import ErpByHand, configured_for, execute, failure_of
from commerce_pipelines_tests.services.erp_by_hand import FakeErp, details, erp_variant, failing
from commerce_pipelines_tests.store.catalog import Catalog


@pytest.fixture
def erp(postgres_url: str) -> Iterator[FakeErp]:
    """An ERP with three products, of which one cannot be read."""
    erp = FakeErp()
    for number in range(3):
        title = f"Mug {number}" if number else " "
        erp.put(f"P{number}", details(title, erp_variant(f"{number}-S")))
    with configured_for(postgres_url, erp):
        yield erp


@pytest.mark.usefixtures("erp")
def test_a_run_shows_what_it_did_on_the_stores_products(instance: dg.DagsterInstance) -> None:
    assert execute(KIND, instance).success

    event = instance.get_latest_materialization_event(PRODUCTS)
    assert event
    assert event.asset_materialization
    shown = event.asset_materialization.metadata
    counted = {name: shown[name].value for name in ("created", "updated", "rejected", "pages")}
    assert counted == {"created": 2, "updated": 0, "rejected": 1, "pages": 2}
    rejections: Any = shown["rejections"].value
    assert [(each["external_id"], each["field"]) for each in rejections] == [("P0", "title")]
    assert shown["dagster/row_count"].value == 2


def test_a_run_that_fails_keeps_the_pages_that_are_in_and_the_next_goes_on(
    erp: FakeErp, instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    erp.script("fetch_products", int, failing(Unavailable("The ERP is away.")))

    result = execute(KIND, instance)

    assert failure_of(result) == "Unavailable: The ERP is away."
    catalog = Catalog(ledger.engine)
    assert catalog.values("SELECT title FROM product") == ["Mug 1"]
    assert execute(KIND, instance).success
    assert catalog.values("SELECT title FROM product ORDER BY title") == ["Mug 1", "Mug 2"]


def test_a_run_reads_all_when_it_is_told_to(
    erp: FakeErp, instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    execute(KIND, instance)
    Catalog(ledger.engine).execute("DELETE FROM product; DELETE FROM external_id")
    execute(KIND, instance)
    assert Catalog(ledger.engine).values("SELECT count(*) FROM product") == [1]

    assert execute(KIND, instance, {"find_start": {"whole": True}}).success

    assert Catalog(ledger.engine).values("SELECT count(*) FROM product") == [2]


@pytest.mark.usefixtures("erp")
def test_the_schedule_is_the_shops_midnight(instance: dg.DagsterInstance) -> None:
    os.environ["SHOP_TIME_ZONE"] = "Europe/Berlin"
    daily = erp_product_sync.schedule()
    os.environ["SHOP_TIME_ZONE"] = "Mars"
    with pytest.raises(ConfigurationError, match="SHOP_TIME_ZONE is wrong"):
        erp_product_sync.schedule()
    del os.environ["SHOP_TIME_ZONE"]

    assert (daily.cron_schedule, daily.execution_timezone) == ("0 0 * * *", "Europe/Berlin")
    assert isinstance(_tick(instance, daily), dg.RunRequest)
    del os.environ["ERP_URL"]
    assert isinstance(_tick(instance, daily), dg.SkipReason)


def _tick(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition) -> object:
    with dg.build_schedule_context(
        instance=instance,
        resources={"erp": ErpByHand()},
        scheduled_execution_time=datetime.now(UTC),
    ) as context:
        return schedule(context)
