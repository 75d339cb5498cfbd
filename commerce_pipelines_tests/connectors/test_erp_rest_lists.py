"""Lists of the reference contract: where a reading begins, goes on and ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.erp.rest_lists import OVERLAP
from commerce_pipelines.errors import Unauthorised, Unavailable
from commerce_pipelines_tests.connectors.conftest import OpenSession
from commerce_pipelines_tests.connectors.erp_replies import (
    AT,
    LATER,
    MOMENT,
    order,
    orders,
    product,
    products,
)
from commerce_pipelines_tests.fakes import CountingBudget, Reply, ScriptedServer


@pytest.fixture
def erp(open_session: OpenSession, budget: CountingBudget) -> RestErp:
    """An ERP on the scripted server."""
    return RestErp(open_session(), budget)


@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        product("p-2", title=None),
        product("p-2", active=1),
        product("p-2", changed_at="yesterday"),
        product("p-2", changed_at="2026-01-02T03:04:05"),
        product("p-2", revision=7),
        product("p-2", revision="r\n1"),
        product("p-2", variants=[{"id": None, "sku": None, "title": "A", "options": []}]),
        product("p-2", variants=None),
        product("p-2\x00"),
    ],
)
def test_a_product_that_is_none_is_rejected_and_stops_no_other(
    erp: RestErp, server: ScriptedServer, broken: Any
) -> None:
    server.reply(products(product("p-1"), broken, product("p-3")))

    (page,) = erp.fetch_products(None)

    assert [each.external_id for each in page.products] == ["p-1", "p-3"]
    assert len(page.rejected) == 1
    assert page.reached == datetime(2026, 1, 3, tzinfo=UTC)


def test_a_reading_begins_behind_its_moment(erp: RestErp, server: ScriptedServer) -> None:
    server.reply(products(as_of=MOMENT))

    (page,) = erp.fetch_products(AT + timedelta(hours=1))

    (asked,) = server.received
    assert datetime.fromisoformat(asked.query["changed_since"]) == (
        AT + timedelta(hours=1) - OVERLAP
    )
    assert page.reached == AT + timedelta(hours=1)


def test_a_list_goes_on_by_time_where_it_can(erp: RestErp, server: ScriptedServer) -> None:
    server.reply(
        products(product("p-1"), product("p-2"), cursor="a"),
        products(product("p-2"), product("p-3"), cursor="b"),
        products(product("p-4", changed_at=LATER), cursor=None),
    )

    pages = list(erp.fetch_products(None))

    assert [[each.external_id for each in page.products] for page in pages] == [
        ["p-1", "p-2"],
        ["p-3"],
        ["p-4"],
    ]
    assert [request.query.get("cursor") for request in server.received] == [None, None, "b"]
    assert server.received[1].query["changed_since"] == MOMENT
    assert [page.reached for page in pages[:2]] == [AT, AT]


def test_a_list_that_is_out_of_order_goes_on_at_its_cursor(
    erp: RestErp, server: ScriptedServer
) -> None:
    server.reply(
        products(product("p-1", changed_at=LATER), product("p-2"), cursor="a"),
        products(product("p-3"), cursor=None),
    )

    pages = list(erp.fetch_products(None))

    assert [each.external_id for page in pages for each in page.products] == ["p-1", "p-2", "p-3"]
    assert pages[0].reached is None
    assert server.received[1].query["cursor"] == "a"


def test_a_list_without_an_end_is_given_up(erp: RestErp, server: ScriptedServer) -> None:
    server.reply(*[products(product("p-1"), cursor=f"c{at}") for at in range(50)])

    with pytest.raises(Unavailable, match="circles"):
        list(erp.fetch_products(None))

    assert len(server.received) < 5


def test_what_was_read_before_a_failure_counts(erp: RestErp, server: ScriptedServer) -> None:
    server.reply(products(product("p-1"), cursor="a"), Reply(401, {}))
    reading = erp.fetch_products(None)

    assert next(reading).reached == AT
    with pytest.raises(Unauthorised):
        next(reading)


def test_an_order_that_is_none_is_told_and_stops_no_other(
    erp: RestErp, server: ScriptedServer
) -> None:
    server.reply(orders(order("o-1"), order("o-2", total=None), order("o-3")))

    found = list(erp.fetch_orders(AT, AT + timedelta(days=1)))

    assert [each.external_id for each in found] == ["o-1", "o-3", "o-2"]
    assert isinstance(found[2], RejectedRecord)


def test_an_order_outside_the_time_is_left_out(erp: RestErp, server: ScriptedServer) -> None:
    before = (AT - timedelta(seconds=1)).isoformat()
    server.reply(
        orders(order("o-1", placed_at=before), order("o-2"), order("o-3", placed_at=LATER))
    )

    found = list(erp.fetch_orders(AT, AT + timedelta(seconds=0.5)))

    assert [each.external_id for each in found] == ["o-2"]
