"""Order updates are stored before they are acknowledged; an order shows how it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, text

from commerce_pipelines_tests.endpoint.running import (
    OTHER_SECRET,
    SECRET,
    Endpoint,
    as_json,
    problem,
    settings,
    signed,
)
from commerce_pipelines_tests.orders import place_order

ROUTE = "/erp/order-updates"
UPDATE = {"id": "o-1", "reference": "order_1", "status": "shipped"} | {
    "changed_at": "2026-03-01T12:00:00Z"
}


@pytest.fixture
def endpoint(postgres_url: str) -> Iterator[Endpoint]:
    """An endpoint that knows the PIM by one secret and the ERP by another."""
    with Endpoint(settings(postgres_url, erp_webhook_secret=OTHER_SECRET)) as running:
        yield running


def told(*orders: dict[str, Any]) -> bytes:
    """Returns the body of a delivery about these orders."""
    return json.dumps({"type": "order.updated", "orders": orders}).encode()


def deliver(endpoint: Endpoint, body: bytes, **how: Any) -> requests.Response:
    """Sends a delivery as the ERP does."""
    headers = signed(body, **{"secret": OTHER_SECRET, **how})
    return endpoint.post(ROUTE, data=body, headers=headers)


def stored(engine: Engine) -> list[tuple[Any, ...]]:
    """Returns what is in the inbox."""
    query = text("SELECT topic, source, part, parts, aggregate FROM message ORDER BY id")
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_an_update_is_stored_as_it_came(endpoint: Endpoint, engine: Engine) -> None:
    body = json.dumps({"type": "order.updated", "order": UPDATE}).encode()

    accepted = as_json(deliver(endpoint, body), 202)

    assert stored(engine) == [("order_updates", "erp", 0, 1, "erp_order:o-1")]
    assert as_json(endpoint.get(accepted["location"]), 200)["state"] == "new"
    with engine.connect() as connection:
        assert bytes(connection.execute(text("SELECT body FROM message")).scalar_one()) == body


def test_a_batch_is_a_message_an_order(endpoint: Endpoint, engine: Engine) -> None:
    as_json(deliver(endpoint, told(UPDATE, {**UPDATE, "id": "o-2"}, {"no": "order"})), 202)

    assert stored(engine) == [
        ("order_updates", "erp", 0, 3, "erp_order:o-1"),
        ("order_updates", "erp", 1, 3, "erp_order:o-2"),
        ("order_updates", "erp", 2, 3, None),
    ]


def test_the_same_delivery_many_times_at_once_is_stored_once(
    endpoint: Endpoint, engine: Engine
) -> None:
    body = told(UPDATE)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: deliver(endpoint, body).status_code, range(40)))

    assert set(answers) == {202}
    assert len(stored(engine)) == 1


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"type": "order.updated"}', told(), told(*[UPDATE] * 1001)]
)
def test_what_is_not_about_orders_is_refused(
    endpoint: Endpoint, engine: Engine, body: bytes
) -> None:
    assert problem(deliver(endpoint, body), 400)["detail"]
    assert stored(engine) == []


def test_only_the_erps_signature_over_the_raw_body_counts(
    endpoint: Endpoint, engine: Engine
) -> None:
    body = told(UPDATE)
    headers = signed(body, secret=OTHER_SECRET)

    problem(deliver(endpoint, body, secret=SECRET), 401)
    problem(endpoint.post(ROUTE, data=body), 401)
    problem(endpoint.post(ROUTE, data=body + b" ", headers=headers), 401)

    assert stored(engine) == []


def test_an_order_shows_everything_that_belongs_to_it(endpoint: Endpoint, engine: Engine) -> None:
    with engine.begin() as connection:
        place_order(connection, "order_1", currency_code="KWD", total_minor=2468)

    shown = as_json(endpoint.get("/store/orders/order_1"), 200)

    assert (shown["status"], shown["erp_id"]) == ("placed", None)
    assert shown["sync"] == {"state": "waiting", "reason": None}
    assert (shown["currency_code"], shown["total_minor"]) == ("KWD", 2468)
    (line,) = shown["lines"]
    assert (line["unit_price"], line["quantity"], line["total_minor"]) == ("1.2340", 2, 2468)
    assert shown["shipping_address"]["city"] == "Berlin"


@pytest.mark.parametrize("order_id", ["order_2", "%20", "a'b"])
def test_an_order_that_is_not_there_is_not_found(endpoint: Endpoint, order_id: str) -> None:
    problem(endpoint.get(f"/store/orders/{order_id}"), 404)
