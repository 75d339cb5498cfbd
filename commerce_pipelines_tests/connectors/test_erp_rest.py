"""Answers of the reference contract that are none, and some that are odd."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.domain.erp_products import ErpProduct
from commerce_pipelines.domain.price_book import EVERYBODY
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
from commerce_pipelines_tests.connectors.erp_records import an_order
from commerce_pipelines_tests.connectors.erp_replies import AT, no, order, orders, product
from commerce_pipelines_tests.fakes import HANG_UP, CountingBudget, Reply, ScriptedServer

HTML = Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"})
HALF = Reply(200, b'{"products": [{"id": "p-1", "ti', {"Content-Type": "application/json"})
NO_ANSWERS = [HTML, HALF, HANG_UP, Reply(body=[]), Reply(body={}), Reply(body="null")]
ORDER = an_order("v-1", id="order_1", placed_at=AT)


@pytest.fixture
def erp(open_session: OpenSession, budget: CountingBudget) -> RestErp:
    """An ERP on the scripted server."""
    return RestErp(open_session(), budget)


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
