"""Answers of the reference contract that are none, and some that are odd."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.erp.rest_lists import OVERLAP
from commerce_pipelines.domain.erp_products import ErpProduct
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier
from commerce_pipelines.errors import (
    CommerceError,
    Conflict,
    InvalidInput,
    NeedsPerson,
    NotFound,
    Refused,
    Unauthorised,
    Unavailable,
    Unknown,
)
from commerce_pipelines_tests.connectors.conftest import TOKEN, OpenSession
from commerce_pipelines_tests.connectors.erp_cases import an_order
from commerce_pipelines_tests.fakes import HANG_UP, CountingBudget, Reply, ScriptedServer

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
MOMENT = "2026-01-02T03:04:05.000006Z"
LATER = "2026-01-02T03:04:06.000000Z"
AS_OF = "2026-01-03T00:00:00.000000Z"
HTML = Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"})
HALF = Reply(200, b'{"products": [{"id": "p-1", "ti', {"Content-Type": "application/json"})
NO_ANSWERS = [HTML, HALF, HANG_UP, Reply(body=[]), Reply(body={}), Reply(body="null")]
ORDER = an_order("v-1", id="order_1", placed_at=AT)


@pytest.fixture
def budget() -> CountingBudget:
    """A budget that counts."""
    return CountingBudget()


@pytest.fixture
def erp(open_session: OpenSession, budget: CountingBudget) -> RestErp:
    """An ERP on the scripted server."""
    return RestErp(open_session(), budget)


def product(external_id: str = "p-1", **fields: Any) -> dict[str, Any]:
    """Returns a product as the contract has it."""
    variant = {"id": "v-1", "sku": None, "title": "A", "options": [{"name": "Size", "value": "A"}]}
    usual = {"title": "Mug", "description": None, "active": True, "variants": [variant]}
    return {"id": external_id, **usual, "changed_at": MOMENT, "revision": "r1", **fields}


def products(*rows: Any, cursor: Any = None, as_of: Any = AS_OF) -> Reply:
    """Returns a page of products."""
    return Reply(body={"products": list(rows), "next_cursor": cursor, "as_of": as_of})


def order(external_id: str = "o-1", **fields: Any) -> dict[str, Any]:
    """Returns an order as the contract has it."""
    usual = {"number": "SO-1", "reference": "order_1", "status": "draft", "currency_code": "EUR"}
    lines = [{"variant": "v-1", "quantity": 2, "unit_price": "9.90"}]
    moments = {"placed_at": MOMENT, "changed_at": MOMENT}
    return {"id": external_id, **usual, "total": "19.80", **moments, "lines": lines, **fields}


def orders(*rows: Any, cursor: Any = None) -> Reply:
    """Returns a page of orders."""
    return Reply(body={"orders": list(rows), "next_cursor": cursor, "as_of": AS_OF})


def prices(*rows: Any) -> Reply:
    """Returns prices."""
    return Reply(body={"as_of": AS_OF, "prices": list(rows)})


def price(variant: str, *tiers: Any) -> dict[str, Any]:
    """Returns the price of one variant."""
    return {"variant": variant, "tiers": [{"min_quantity": q, "amount": a} for q, a in tiers]}


def no(code: str, status: int) -> Reply:
    """Returns a refusal of the ERP's own."""
    return Reply(status, {"error": {"code": code, "message": "no"}})


def seen() -> ErpProduct:
    """Returns the product as it was read."""
    from commerce_pipelines.connectors.erp.rest_rows import read_product

    return read_product(product())


READINGS: list[Callable[[RestErp], Any]] = [
    lambda erp: list(erp.fetch_products(None)),
    lambda erp: list(erp.fetch_changed_orders(AT)),
    lambda erp: list(erp.fetch_orders(AT, AT + timedelta(days=1))),
    lambda erp: erp.fetch_prices(["v-1"], "EUR", EVERYBODY),
    lambda erp: erp.fetch_stock(["v-1"]),
    lambda erp: erp.fetch_purchase_rules(["ACME"], ["v-1"]),
    lambda erp: erp.fetch_companies(["ACME"]),
    lambda erp: erp.find_product("p-1"),
    lambda erp: erp.find_order("order_1"),
]
WRITINGS: list[Callable[[RestErp], Any]] = [
    lambda erp: erp.write_product("p-1", seen().details, seen(), "key"),
    lambda erp: erp.create_order(ORDER),
    lambda erp: erp.confirm_order("o-1"),
    lambda erp: erp.cancel_order("o-1"),
]


@pytest.mark.parametrize("ask", READINGS)
@pytest.mark.parametrize("reply", [*NO_ANSWERS, Reply(503, {}), Reply(429, {})])
def test_a_reading_without_an_answer_is_unavailable(
    erp: RestErp, server: ScriptedServer, ask: Callable[[RestErp], Any], reply: Reply
) -> None:
    server.reply(*[reply] * 40)

    with pytest.raises(Unavailable):
        ask(erp)

    assert len(server.received) > 1


@pytest.mark.parametrize("act", WRITINGS)
@pytest.mark.parametrize(
    "reply", [*NO_ANSWERS, Reply(500, {}), Reply(404, "<html>", {"Content-Type": "text/html"})]
)
def test_a_writing_without_an_answer_may_have_had_its_effect(
    erp: RestErp, server: ScriptedServer, act: Callable[[RestErp], Any], reply: Reply
) -> None:
    server.reply(*[reply] * 40)

    with pytest.raises(Unknown):
        act(erp)


@pytest.mark.parametrize("ask", READINGS + WRITINGS)
def test_a_wrong_key_is_said_and_never_shown(
    erp: RestErp, server: ScriptedServer, ask: Callable[[RestErp], Any]
) -> None:
    server.reply(Reply(401, f"Bearer {TOKEN} is wrong"))

    with pytest.raises(Unauthorised) as caught:
        ask(erp)

    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert TOKEN not in repr(erp)


@pytest.mark.parametrize(
    ("act", "reply", "error"),
    [
        (WRITINGS[0], no("product_not_found", 404), NotFound),
        (WRITINGS[0], no("revision_differs", 412), Conflict),
        (WRITINGS[0], no("anything", 422), Refused),
        (WRITINGS[1], no("order_differs", 409), Conflict),
        (WRITINGS[1], no("anything", 422), Refused),
        (WRITINGS[2], no("order_not_found", 404), NotFound),
        (WRITINGS[2], no("order_cancelled", 409), Conflict),
        (WRITINGS[3], no("order_not_found", 404), NotFound),
        (WRITINGS[3], no("order_too_far", 409), NeedsPerson),
    ],
)
def test_a_refusal_of_the_erp_is_definite(
    erp: RestErp,
    server: ScriptedServer,
    act: Callable[[RestErp], Any],
    reply: Reply,
    error: type[CommerceError],
) -> None:
    server.reply(reply)

    with pytest.raises(error):
        act(erp)

    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("act", "body"),
    [
        (WRITINGS[0], product("p-2")),
        (WRITINGS[1], order(reference="order_2")),
        (WRITINGS[2], order("o-2", status="confirmed")),
        (WRITINGS[2], order(status="draft")),
        (WRITINGS[3], order(status="draft")),
    ],
)
def test_an_answer_about_something_else_says_nothing(
    erp: RestErp, server: ScriptedServer, act: Callable[[RestErp], Any], body: Any
) -> None:
    server.reply(*[Reply(body=body)] * 40)

    with pytest.raises(Unknown):
        act(erp)


@pytest.mark.parametrize(
    "changes",
    [
        {"currency_code": "USD"},
        {"lines": [{"variant": "v-1", "quantity": 3, "unit_price": "9.90"}]},
        {"lines": [{"variant": "v-1", "quantity": 2, "unit_price": "9.9001"}]},
        {"lines": []},
    ],
)
def test_an_order_there_with_other_content_is_a_conflict(
    erp: RestErp, server: ScriptedServer, changes: dict[str, Any]
) -> None:
    server.reply(Reply(body=order(**changes)))

    with pytest.raises(Conflict):
        erp.create_order(ORDER)


def test_a_cancelled_order_that_keeps_its_reference_is_a_refusal(
    erp: RestErp, server: ScriptedServer
) -> None:
    server.reply(Reply(body=order(status="cancelled")))

    with pytest.raises(Refused):
        erp.create_order(ORDER)


def test_of_several_orders_the_lowest_that_is_not_cancelled_counts(
    erp: RestErp, server: ScriptedServer
) -> None:
    server.reply(orders(order("o-10"), order("o-9"), order("o-1", status="cancelled")))

    found = erp.find_order("order_1")

    assert found is not None
    assert found.external_id == "o-9"


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        ([(1, "-1")], "negative"),
        ([(1, "1.23456")], "decimals"),
        ([(1, 9.9)], "no decimal text"),
        ([(1, 9)], "no decimal text"),
        ([(1, "NaN")], "no decimal text"),
        ([(1, "1e3")], "no decimal text"),
        ([(1, "9999999999999")], "too large"),
        ([(2, "1")], "single one"),
        ([(1, "1"), (1, "2")], "one quantity"),
        ([(1, "1"), (0, "2")], "whole number"),
        ([(1, "1"), (True, "2")], "whole number"),
        ([(1, "1"), (10, None)], "no decimal text"),
    ],
)
def test_a_price_that_is_none_is_rejected_and_stops_no_other(
    erp: RestErp, server: ScriptedServer, amounts: list[Any], reason: str
) -> None:
    server.reply(prices(price("v-1", *amounts), price("v-2", (1, "9.9"))))

    found = erp.fetch_prices(["v-1", "v-2"], "EUR", EVERYBODY)

    assert found.tiers == {"v-2": (PriceTier(1, Decimal("9.9")),)}
    (rejected,) = found.rejected
    assert rejected.external_id == "v-1"
    assert reason in rejected.reason


@pytest.mark.parametrize(
    "row", [{"variant": "v-1", "tiers": None}, price("v-1"), price("v-1", (1, None))]
)
def test_no_price_in_any_form_means_not_for_sale(
    erp: RestErp, server: ScriptedServer, row: Any
) -> None:
    server.reply(prices(row))

    assert erp.fetch_prices(["v-1", "v-2"], "EUR", EVERYBODY).tiers == {"v-1": None, "v-2": None}


def test_a_price_of_nobody_knows_what_leaves_open_what_is_missing(
    erp: RestErp, server: ScriptedServer
) -> None:
    server.reply(prices("nonsense", price("v-2", (1, "1"))))

    found = erp.fetch_prices(["v-1", "v-2"], "EUR", EVERYBODY)

    assert set(found.tiers) == {"v-2"}
    assert found.rejected == (RejectedRecord(None, "is no object"),)


def test_two_contents_for_one_variant_are_none(erp: RestErp, server: ScriptedServer) -> None:
    server.reply(prices(price("v-1", (1, "1")), price("v-1", (1, "2"))))

    found = erp.fetch_prices(["v-1"], "EUR", EVERYBODY)

    assert found.tiers == {}
    assert [each.external_id for each in found.rejected] == ["v-1"]


@pytest.mark.parametrize(
    ("available", "whole"), [("12.9", 12), ("-0.5", -1), ("-3", -3), ("0", 0), ("007", 7)]
)
def test_parts_of_a_unit_do_not_count(
    erp: RestErp, server: ScriptedServer, available: str, whole: int
) -> None:
    level = {"variant": "v-1", "available": available, "allows_out_of_stock": False}
    server.reply(Reply(body={"as_of": AS_OF, "stock": [level]}))

    assert erp.fetch_stock(["v-1"]).levels["v-1"].available == whole


@pytest.mark.parametrize("available", [None, 12, "many", "99999999999", True])
def test_stock_that_is_none_is_rejected(
    erp: RestErp, server: ScriptedServer, available: Any
) -> None:
    level = {"variant": "v-1", "available": available, "allows_out_of_stock": False}
    server.reply(Reply(body={"as_of": AS_OF, "stock": [level]}))

    found = erp.fetch_stock(["v-1"])

    assert found.levels == {}
    assert [each.external_id for each in found.rejected] == ["v-1"]


def test_many_variants_are_asked_for_in_few_requests(
    erp: RestErp, server: ScriptedServer, budget: CountingBudget
) -> None:
    earlier = "2026-01-01T00:00:00Z"
    server.reply(*[prices()] * 2, Reply(body={"as_of": earlier, "prices": []}))
    variants = [f"v-{at}" for at in range(2_500)]

    found = erp.fetch_prices([*variants, *variants], "EUR", EVERYBODY)

    assert len(server.received) == budget.taken == 3
    assert len(found.tiers) == 2_500
    assert found.as_of == datetime(2026, 1, 1, tzinfo=UTC)


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


@pytest.mark.parametrize("external_id", ["", ".", "..", "a\x00b", "x" * 300])
def test_an_id_that_cannot_be_sent_is_refused(
    erp: RestErp, server: ScriptedServer, external_id: str
) -> None:
    for act in (erp.find_product, erp.confirm_order, erp.cancel_order):
        with pytest.raises(InvalidInput):
            act(external_id)

    assert server.received == []


def test_money_is_sent_as_text_in_the_main_unit(erp: RestErp, server: ScriptedServer) -> None:
    import json
    from dataclasses import replace

    line = replace(ORDER.lines[0], unit_price=Decimal("0.0005"), total_minor=1)
    for code, total in (("EUR", "0.01"), ("JPY", "1"), ("KWD", "0.001")):
        there = order(
            currency_code=code,
            lines=[{"variant": "v-1", "quantity": 2, "unit_price": "0.0005"}],
        )
        server.reply(Reply(body=there))
        erp.create_order(replace(ORDER, currency_code=code, lines=(line,), total_minor=1))

        sent = json.loads(server.received[-1].body)
        assert (sent["total"], sent["lines"][0]["total"]) == (total, total)
        assert sent["lines"][0]["unit_price"] == "0.0005"
