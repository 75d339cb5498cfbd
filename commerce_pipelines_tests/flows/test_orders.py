"""Orders in Dagster: exported, updated and reconciled in runs, with what people see of it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import dagster as dg
import pytest

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.errors import Refused, Unavailable, Unknown
from commerce_pipelines.flows import order_export, order_reconciliation, order_status_import
from commerce_pipelines.flows.day_bars import day_bars
from commerce_pipelines.flows.order_reconciliation import REPORT
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.flows.brand_ground import failure_of
from commerce_pipelines_tests.orders import PLACED_AT, erp_order
from commerce_pipelines_tests.services.order_desk import Desk

DAY = PLACED_AT.date()


class HandMadeErp(ErpResource):
    """An ERP made by hand instead of the real one; one at a time, for Dagster copies resources."""

    by_hand: ClassVar[Erp]

    @property
    def is_configured(self) -> bool:
        """Tells that there is one."""
        return True

    def open(self, patience_seconds: float | None = None) -> Erp:
        """Returns it."""
        del patience_seconds
        return self.by_hand


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's store."""
    wanted = {
        "POSTGRES_URL": postgres_url,
        "SANITY_PROJECT_ID": "unasked",
        "SANITY_SECRET_TOKEN": "token",
    }
    os.environ.update(wanted)
    yield
    for name in wanted:
        os.environ.pop(name, None)


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    """A desk with nothing on it."""
    desk = Desk(ledger)
    HandMadeErp.by_hand = desk.erp
    return desk


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster without a home."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def execute(
    desk: Desk, instance: dg.DagsterInstance, job: str, **options: Any
) -> dg.ExecuteInProcessResult:
    """Runs a job as a run worker does; a failure is in the result."""
    defs = build_defs(resource_overrides={"erp": HandMadeErp()})
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, **options
    )


def shown(result: dg.ExecuteInProcessResult, op: str) -> dict[str, Any]:
    """Returns what an op shows of its output."""
    (output,) = [
        event.step_output_data.metadata
        for event in result.all_events
        if event.is_successful_output and event.step_key == op
    ]
    return {name: each.value for name, each in output.items()}


def test_one_run_exports_all_orders_that_wait(desk: Desk, instance: dg.DagsterInstance) -> None:
    for number in range(9):
        desk.place(f"order_{number}")

    result = execute(desk, instance, "order_export")

    assert result.success
    assert shown(result, "export_orders")["exported"] == 9
    assert {order.status for order in desk.erp.orders.values()} == {"confirmed"}


def test_an_order_that_fails_does_not_stop_the_others_and_is_undone_at_once(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    desk.place("order_1")
    desk.place("order_2")
    desk.erp.answer("confirm", Refused("the customer owes too much"))

    result = execute(desk, instance, "order_export")

    assert failure_of(result).startswith("1 of 2 orders could not be brought")
    assert sorted(order.status for order in desk.erp.orders.values()) == ["cancelled", "confirmed"]
    assert desk.rows("SELECT status FROM saga ORDER BY 1") == [("compensated",), ("succeeded",)]


def test_an_order_in_doubt_behind_its_confirmation_is_finished_at_once(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    desk.place()
    desk.erp.answer("confirm", Unknown("lost"))

    result = execute(desk, instance, "order_export")

    assert not result.success
    assert desk.rows("SELECT status FROM saga") == [("succeeded",)]
    assert desk.show().sync.state == "exported"


def test_an_erp_that_is_away_is_not_asked_for_each_order(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    for number in range(30):
        desk.place(f"order_{number}")
    desk.erp.answer("create", *[Unavailable("away")] * 30)

    execute(desk, instance, "order_export")

    most = order_export.MOST_UNANSWERED * order_export.AT_ONCE
    assert desk.erp.times("create") <= most


def test_order_updates_are_applied_by_a_run(desk: Desk, instance: dg.DagsterInstance) -> None:
    there = desk.exported()
    desk.deliver("d1", desk.erp.change(there.external_id, "shipped"))
    desk.deliver("d2", erp_order("o-phone", None))

    result = execute(desk, instance, "order_status_import")

    assert result.success
    assert shown(result, "apply_order_updates")["applied"] == 1
    assert shown(result, "apply_order_updates")["unknown_order"] == 1
    assert desk.show().status == "shipped"


def test_a_poll_that_the_erp_does_not_answer_fails_and_what_was_delivered_is_applied(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    there = desk.exported()
    desk.deliver("d1", desk.erp.change(there.external_id, "shipped"))
    desk.erp.answer("changed", Unavailable("away"))

    result = execute(
        desk, instance, "order_status_import", run_config=order_status_import.POLL_CONFIG
    )

    assert "could not be asked" in failure_of(result)
    assert desk.show().status == "shipped"


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


def test_the_sensors_start_a_run_only_when_something_waits(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    store = StoreResource()
    erp = HandMadeErp()
    for sensor, resources in (
        (order_export.sensor, {"store": store, "erp": erp}),
        (order_status_import.sensor, {"store": store}),
    ):
        with dg.build_sensor_context(instance=instance, resources=resources) as context:
            assert isinstance(sensor(context), dg.SkipReason)
    there = desk.exported()
    desk.place("order_2")
    desk.deliver("d1", desk.erp.change(there.external_id, "shipped"))
    for sensor, resources in (
        (order_export.sensor, {"store": store, "erp": erp}),
        (order_status_import.sensor, {"store": store}),
    ):
        with dg.build_sensor_context(instance=instance, resources=resources) as context:
            assert isinstance(sensor(context), dg.RunRequest)


def test_the_picture_has_a_bar_a_day() -> None:
    days = [(DAY + timedelta(days=n), [None, 0, 3][n % 3]) for n in range(30)]
    picture = base64.b64decode(re.sub(r".*base64,|\)$", "", day_bars(days))).decode()

    assert [picture.count(colour) for colour in ("#c5221f", "#188038", "#9aa0a6")] == [10, 10, 10]
    assert "most: 3" in picture
    assert day_bars([])
    assert order_reconciliation.DAYS_SHOWN == 30
