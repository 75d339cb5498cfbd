"""Orders in Dagster: exported and updated in runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.errors import Refused, Unavailable, Unknown
from commerce_pipelines.flows import order_export, order_status_import
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.flows.brand_ground import failure_of
from commerce_pipelines_tests.flows.order_ground import HandMadeErp, execute, open_desk
from commerce_pipelines_tests.orders import erp_order
from commerce_pipelines_tests.services.order_desk import Desk


@pytest.fixture
def desk(postgres_url: str, ledger: Ledger) -> Iterator[Desk]:
    """A desk with nothing on it."""
    with open_desk(postgres_url, ledger) as desk:
        yield desk


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
