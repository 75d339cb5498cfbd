"""The cases about orders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from commerce_pipelines.domain.orders import OrderStatus
from commerce_pipelines.errors import Conflict, NeedsPerson, NotFound
from commerce_pipelines_tests.connectors.erp_contract import World
from commerce_pipelines_tests.connectors.erp_records import (
    an_order,
    new_variant,
    readable,
    status_of,
)


class OrderCases:
    """What the port promises of orders."""

    def test_an_order_is_created_as_a_draft_and_found(self, world: World) -> None:
        order = an_order(new_variant(world))

        created = world.erp.create_order(order)

        assert status_of(created) is OrderStatus.PLACED
        assert created.reference == order.id
        assert created.total == Decimal("19.80")
        (line,) = created.lines
        assert (line.variant, line.quantity) == (order.lines[0].external_id, 2)
        assert line.unit_price == Decimal("9.90")
        assert world.erp.find_order(order.id) == created
        assert world.erp.find_order("order_of_nobody") is None

    def test_an_order_is_created_once_whoever_sends_it(self, world: World) -> None:
        order = an_order(new_variant(world))

        with ThreadPoolExecutor(8) as pool:
            created = list(pool.map(world.erp.create_order, [order] * 8))

        assert len({each.external_id for each in created}) == 1
        assert world.references(order.id) == [created[0].external_id]

    def test_another_order_under_the_same_reference_is_a_conflict(self, world: World) -> None:
        variant = new_variant(world)
        order = an_order(variant)
        created = world.erp.create_order(order)

        with pytest.raises(Conflict):
            world.erp.create_order(an_order(variant, 3, id=order.id))

        assert world.references(order.id) == [created.external_id]

    def test_beside_a_cancelled_order_a_new_one_is_made(self, world: World) -> None:
        order = an_order(new_variant(world))
        first = world.erp.create_order(order)
        world.erp.cancel_order(first.external_id)

        second = world.erp.create_order(order)

        assert second.external_id != first.external_id
        assert status_of(second) is OrderStatus.PLACED
        assert world.erp.find_order(order.id) == second

    def test_an_order_is_confirmed_once(self, world: World) -> None:
        created = world.erp.create_order(an_order(new_variant(world)))

        confirmed = world.erp.confirm_order(created.external_id)
        again = world.erp.confirm_order(created.external_id)

        assert status_of(confirmed) in {OrderStatus.CONFIRMED, OrderStatus.PROCESSING}
        assert confirmed.number is not None
        assert again.external_id == created.external_id
        assert status_of(again) is not OrderStatus.PLACED

    def test_a_draft_is_cancelled_once_and_then_cannot_be_confirmed(self, world: World) -> None:
        created = world.erp.create_order(an_order(new_variant(world)))

        cancelled = world.erp.cancel_order(created.external_id)
        again = world.erp.cancel_order(created.external_id)

        assert status_of(cancelled) is status_of(again) is OrderStatus.CANCELLED
        with pytest.raises(Conflict):
            world.erp.confirm_order(created.external_id)

    def test_an_order_that_is_worked_on_needs_a_person_to_cancel_it(self, world: World) -> None:
        created = world.erp.create_order(an_order(new_variant(world)))
        world.erp.confirm_order(created.external_id)
        world.work_on(created.external_id)

        with pytest.raises(NeedsPerson):
            world.erp.cancel_order(created.external_id)

        found = world.erp.find_order(str(created.reference))
        assert found is not None
        assert status_of(found) is not OrderStatus.CANCELLED

    def test_an_order_that_is_not_there_is_said_to_be_so(self, world: World) -> None:
        for act in (world.erp.confirm_order, world.erp.cancel_order):
            with pytest.raises(NotFound):
                act("999999999")

    def test_changed_orders_come(self, world: World) -> None:
        before = world.now()
        created = world.erp.create_order(an_order(new_variant(world)))
        world.erp.confirm_order(created.external_id)

        found = {
            each.external_id: each for each in readable(world.erp.fetch_changed_orders(before))
        }

        assert found[str(created.external_id)].reference == created.reference
        assert status_of(found[created.external_id]) is not OrderStatus.PLACED

    def test_the_orders_of_a_time_come_whoever_took_them(self, world: World) -> None:
        variant, noon = new_variant(world), datetime(2026, 3, 29, 12, tzinfo=UTC)
        hour = timedelta(hours=1)
        ours = world.erp.create_order(an_order(variant, placed_at=noon))
        theirs = world.place_order(variant, 1, noon + hour / 2)
        late = world.place_order(variant, 1, noon + hour)

        found = {
            each.external_id: each for each in readable(world.erp.fetch_orders(noon, noon + hour))
        }

        assert {ours.external_id, theirs} <= set(found)
        assert late not in found
        assert found[theirs].reference is None
        assert all(noon <= each.placed_at < noon + hour for each in found.values())
