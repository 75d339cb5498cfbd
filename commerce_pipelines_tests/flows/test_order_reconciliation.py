"""The reconciliation in Dagster: its runs, check, schedule and picture."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows import order_reconciliation
from commerce_pipelines.flows.day_bars import day_bars
from commerce_pipelines.flows.order_reconciliation import REPORT
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.flows.order_ground import HandMadeErp, execute, open_desk
from commerce_pipelines_tests.orders import PLACED_AT
from commerce_pipelines_tests.services.order_desk import Desk

DAY = PLACED_AT.date()


@pytest.fixture
def desk(postgres_url: str, ledger: Ledger) -> Iterator[Desk]:
    """A desk with nothing on it."""
    with open_desk(postgres_url, ledger) as desk:
        yield desk


def days_of(instance: dg.DagsterInstance) -> dict[str, Any]:
    """Returns the newest metadata of each reconciled day."""
    records = instance.fetch_materializations(REPORT, limit=100).records
    return {
        str(record.partition_key): record.asset_materialization.metadata
        for record in reversed(records)
        if record.asset_materialization
    }


def over(first: int, last: int) -> dict[str, Any]:
    """Returns the tags of a backfill over a range of days around the first order's."""
    start, end = (DAY + timedelta(days=each) for each in (first, last))
    return {
        "tags": {
            "dagster/asset_partition_range_start": start.isoformat(),
            "dagster/asset_partition_range_end": end.isoformat(),
        }
    }


def test_a_day_is_reconciled_with_numbers_a_table_and_a_picture(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    there = desk.exported()
    desk.erp.put(replace(there, total=Decimal("20.01")))

    result = execute(desk, instance, "order_reconciliation", partition_key=DAY.isoformat())

    assert result.success
    metadata = days_of(instance)[DAY.isoformat()]
    assert metadata["orders here"].value == metadata["orders there"].value == 1
    assert metadata["amount_differs"].value == 1
    assert metadata["amount_differs in minor EUR"].value == 1
    (row,) = metadata["discrepancies"].records
    assert (row.data["here"], row.data["there"]) == ("20.00 EUR", "20.01 EUR")
    assert metadata["the last 30 days"].value.startswith("![discrepancies a day](data:image/svg")


def test_a_range_of_days_is_reconciled_in_one_run_each_with_its_own_numbers(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    desk.exported("order_1")
    desk.place("order_2", placed_at=PLACED_AT + timedelta(days=2))

    result = execute(desk, instance, "order_reconciliation", **over(-1, 3))

    assert result.success
    found = {day: each["dagster/row_count"].value for day, each in days_of(instance).items()}
    assert found == {
        "2026-02-28": 0,
        "2026-03-01": 0,
        "2026-03-02": 0,
        "2026-03-03": 1,
        "2026-03-04": 0,
    }


def test_the_check_is_red_while_a_day_of_the_last_thirty_differs(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    day = yesterday.date().isoformat()
    there = desk.exported(placed_at=yesterday)
    desk.erp.put(replace(there, total=Decimal("20.01")))

    first = execute(desk, instance, "order_reconciliation", partition_key=day)
    (red,) = first.get_asset_check_evaluations()
    desk.erp.put(there)
    (green,) = execute(
        desk, instance, "order_reconciliation", partition_key=day
    ).get_asset_check_evaluations()

    assert (red.passed, red.description) == (False, f"{day}: 1 amount_differs")
    assert (green.passed, green.description) == (True, "Both sides agree on every order.")


def test_a_repair_is_asked_for_in_the_config(desk: Desk, instance: dg.DagsterInstance) -> None:
    desk.place(announced=False)
    config = {"ops": {"reports__order_reconciliation": {"config": {"repair": True}}}}

    execute(
        desk,
        instance,
        "order_reconciliation",
        partition_key=DAY.isoformat(),
        run_config=config,
    )

    assert days_of(instance)[DAY.isoformat()]["sent to repair"].value == 1
    assert execute(desk, instance, "order_export").success
    assert desk.show().sync.state == "exported"


def test_the_schedule_asks_for_yesterday_in_the_shops_time_zone(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    defs = build_defs(resource_overrides={"erp": HandMadeErp()})
    (schedule,) = [each for each in defs.schedules or () if each.name == "orders_of_yesterday"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 3, 2, 0, 30, tzinfo=UTC),
        resources={"erp": HandMadeErp()},
    ) as context:
        request = schedule(context)

    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("2026-03-01", "2026-03-01")


def test_the_picture_has_a_bar_a_day() -> None:
    days = [(DAY + timedelta(days=n), [None, 0, 3][n % 3]) for n in range(30)]
    picture = base64.b64decode(re.sub(r".*base64,|\)$", "", day_bars(days))).decode()

    assert [picture.count(colour) for colour in ("#c5221f", "#188038", "#9aa0a6")] == [10, 10, 10]
    assert "most: 3" in picture
    assert day_bars([])
    assert order_reconciliation.DAYS_SHOWN == 30
