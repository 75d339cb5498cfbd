from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, text

from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.pim_import import PimImport
from commerce_pipelines.store import messages
from commerce_pipelines_tests.endpoint.running import (
    Endpoint,
    as_json,
    bodies,
    problem,
    settings,
    signed,
)

TWO = [
    {"title": "Test product 1", "description": "Product 1 description"},
    {"title": "Test product 2", "description": "Product 2 description"},
]
ASYNC = {"prefer": "respond-async"}


def titles(answer: requests.Response) -> list[str]:
    return [product["title"] for product in as_json(answer, 201)]


@pytest.mark.usefixtures("worker")
def test_the_answer_is_the_products_as_the_store_shows_them(local: Endpoint) -> None:
    answer = local.import_(TWO)
    imported = as_json(answer, 201)
    assert [product["description"] for product in imported] == [
        "Product 1 description",
        "Product 2 description",
    ]
    for product in imported:
        assert as_json(local.get(f"/store/products/{product['id']}"), 200) == product
    assert "Rejected-Count" not in answer.headers
    message = as_json(local.get(answer.headers["Location"]), 200)
    assert (message["state"], message["outcome"]["created"]) == ("done", 2)


@pytest.mark.usefixtures("worker")
def test_the_same_list_again_gives_the_same_products(local: Endpoint) -> None:
    first = as_json(local.import_(TWO), 201)
    again = local.import_({"products": TWO})
    assert as_json(again, 201) == first
    assert local.finished(again.headers["Location"])["outcome"]["unchanged"] == 2


@pytest.mark.usefixtures("worker")
def test_the_answer_keeps_the_order_of_the_list_and_leaves_out_the_rejected(
    local: Endpoint,
) -> None:
    feed: list[Any] = [{"title": f"Product {number:02}"} for number in range(30, 0, -1)]
    feed[3] = {"title": "No price", "variants": [{"prices": [{"amount": -1}]}]}
    feed[7] = "no product"
    answer = local.import_(feed)
    assert titles(answer) == [p["title"] for n, p in enumerate(feed) if n not in {3, 7}]
    assert answer.headers["Rejected-Count"] == "2"
    outcome = local.finished(answer.headers["Location"])["outcome"]
    assert [rejected["position"] for rejected in outcome["rejected"]] == [3, 7]


@pytest.mark.usefixtures("worker")
def test_a_product_that_stands_twice_in_the_list_stands_twice_in_the_answer(
    local: Endpoint,
) -> None:
    imported = as_json(local.import_([TWO[0], TWO[1], TWO[0]]), 201)
    assert imported[0] == imported[2] != imported[1]


@pytest.mark.usefixtures("worker")
def test_a_list_of_which_nothing_is_taken_is_refused_with_each_reason(local: Endpoint) -> None:
    answer = local.import_([{"title": ""}, {"description": "x"}, 7])
    errors = problem(answer, 422)["errors"]
    assert [(error["position"], error["field"]) for error in errors] == [
        (0, "title"),
        (1, "title"),
        (2, ""),
    ]
    assert all(error["reason"] for error in errors)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "product",
    [
        {"title": "x" * 10_000},
        {"title": "a\x00b"},
        {"title": "x", "\x00": 1, "variants": [{"options": {"\x00": "\x00"}}]},
        {"title": "x", "variants": [{"prices": [{"amount": 1, "currency_code": "EURO"}]}]},
        {"title": "x", "variants": [{"prices": [{"amount": -1, "currency_code": "EUR"}]}]},
        {"title": "x", "variants": [{"sku": "a"}, {"sku": "a"}]},
        {"title": ["x"]},
    ],
)
def test_a_bad_product_does_not_keep_back_a_good_one(local: Endpoint, product: Any) -> None:
    answer = local.import_([product, {"title": "Good"}])
    assert titles(answer) == ["Good"]
    assert answer.headers["Rejected-Count"] == "1"


@pytest.mark.usefixtures("worker")
def test_prices_never_pass_through_a_float(local: Endpoint) -> None:
    body = (
        b'[{"title": "Mug", "variants": [{"sku": "m", "external_id": "v", "prices": ['
        b'{"amount": 999999999999.9999, "currency_code": "EUR"},'
        b'{"amount": 0.1, "currency_code": "eur", "min_quantity": 10},'
        b'{"amount": "12.50", "currency_code": "USD"}]}]}]'
    )
    answer = local.post("/products", data=body, headers={"content-type": "application/json"})
    variant = as_json(answer, 201)[0]["variants"][0]
    assert (variant["sku"], variant["external_id"]) == ("m", "v")
    assert variant["prices"] == [
        {"amount": "999999999999.9999", "currency_code": "EUR", "min_quantity": 1},
        {"amount": "0.1", "currency_code": "EUR", "min_quantity": 10},
        {"amount": "12.5", "currency_code": "USD", "min_quantity": 1},
    ]


def test_an_empty_list_is_answered_at_once(local: Endpoint, engine: Engine) -> None:
    assert as_json(local.import_([]), 201) == []
    assert as_json(local.import_({"products": []}), 201) == []
    assert bodies(engine) == []


def test_who_does_not_want_to_wait_gets_the_message(local: Endpoint, engine: Engine) -> None:
    answer = local.import_(TWO, ASYNC)
    accepted = as_json(answer, 202)
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"] == accepted["location"]
    assert len(bodies(engine)) == 1


def test_a_long_list_is_cut_into_parts_and_answered_with_its_message(
    local: Endpoint, engine: Engine, flow: PimImport
) -> None:
    feed: list[Any] = [{"title": f"Product {n}", "external_id": n} for n in range(5_001)]
    feed[4_321] = {"title": ""}
    feed[12] = {"title": ""}
    answer = local.import_(feed)
    location = as_json(answer, 202)["location"]
    assert [len(json.loads(body)) for body in bodies(engine)] == [1000] * 5 + [1]
    while (page := flow.open_page()) is not None:
        assert as_json(local.get(location), 200)["state"] == "claimed"
        flow.store_page(page)
        flow.publish_page(page.saga_id)
    message = as_json(local.get(location), 200)
    assert (message["state"], message["parts"], message["item_count"]) == ("done", 6, 5_001)
    outcome = message["outcome"]
    assert (outcome["created"], outcome["rejected_count"]) == (4_999, 2)
    assert [rejected["position"] for rejected in outcome["rejected"]] == [12, 4_321]
    assert outcome["product_count"] == 4_999
    assert len(outcome["products"]) == 1_000
    first = as_json(local.get(f"/store/products/{outcome['products'][11]}"), 200)
    assert first["external_id"] == "11"


def test_a_part_keeps_the_texts_of_its_numbers(local: Endpoint, engine: Engine) -> None:
    body = b'[{"title": "A", "metadata": {"n": 1.10}},\n {"title": "B", "n": 1e2}]'
    headers = {"content-type": "application/json", **ASYNC}
    as_json(local.post("/products", data=body, headers=headers), 202)
    assert b"1.10" in bodies(engine)[0]
    assert b"1e2" in bodies(engine)[0]


def test_a_fault_at_the_end_of_a_long_list_leaves_nothing(local: Endpoint, engine: Engine) -> None:
    body = b"[" + b'{"title": "Mug"},' * 5_000 + b"{]"
    problem(local.post("/products", data=body, headers={"content-type": "application/json"}), 400)
    assert bodies(engine) == []


@pytest.mark.usefixtures("worker")
def test_the_same_key_imports_once_and_answers_alike(local: Endpoint, engine: Engine) -> None:
    headers = {"idempotency-key": "list 1"}
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: local.import_(TWO, headers), range(16)))
    assert len({as_json(answer, 201) and answer.content for answer in answers}) == 1
    assert len(bodies(engine)) == 1


@pytest.mark.usefixtures("worker")
def test_a_key_that_was_used_for_another_list_is_refused(local: Endpoint, engine: Engine) -> None:
    headers = {"idempotency-key": "list 1"}
    as_json(local.import_(TWO, headers), 201)
    problem(local.import_(TWO[:1], headers), 422)
    assert len(bodies(engine)) == 1


def test_two_long_lists_that_differ_at_their_end_are_not_the_same(local: Endpoint) -> None:
    headers = {"idempotency-key": "list 1", **ASYNC}
    feed = [{"title": f"Product {number}"} for number in range(2_000)]
    as_json(local.import_(feed, headers), 202)
    as_json(local.import_(feed, headers), 202)
    problem(local.import_([*feed, {"title": "One more"}], headers), 422)


@pytest.mark.parametrize("key", ["", "x" * 257, "caf\xe9"])
def test_a_key_that_cannot_be_kept_is_refused(local: Endpoint, engine: Engine, key: str) -> None:
    problem(local.import_(TWO, {"idempotency-key": key}), 400)
    assert bodies(engine) == []


def leave_one_try(engine: Engine) -> None:
    """Leaves every message that comes one try."""
    with engine.begin() as connection:
        connection.execute(
            text(f"""
                ALTER TABLE message ALTER tries SET DEFAULT {messages.MOST_TRIES - 1},
                    ALTER received_at SET DEFAULT now() - interval '1 day'""")
        )


def test_an_import_that_is_given_up_is_the_fault_of_a_system_behind(
    local: Endpoint, engine: Engine, ledger: Ledger, flow: PimImport, sandbox: RunningSandbox
) -> None:
    fault = {"system": "sanity", "kind": "unavailable_before", "route": "mutate", "times": None}
    requests.post(sandbox.addresses["faults"]["url"], json=fault, timeout=30).raise_for_status()
    leave_one_try(engine)
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(local.import_, TWO)
        while (page := flow.open_page()) is None:
            pass
        flow.store_page(page)
        with pytest.raises(CommerceError):
            flow.publish_page(page.saga_id)
        told = problem(answer.result(), 502)
    assert "given up" in told["detail"]
    assert answer.result().headers["Location"].startswith("/messages/")


def test_signed_lists_are_taken_and_unsigned_ones_refused_outside_the_unsigned_mode(
    endpoint: Endpoint, engine: Engine
) -> None:
    body = json.dumps(TWO).encode()
    problem(endpoint.import_(TWO), 401)
    problem(endpoint.import_(TWO, {"idempotency-key": "1"}), 401)
    problem(endpoint.post("/products", data=body + b" ", headers=signed(body)), 401)
    assert bodies(engine) == []
    as_json(endpoint.post("/products", data=body, headers=signed(body) | ASYNC), 202)
    as_json(endpoint.post("/products", data=body, headers=signed(body) | ASYNC), 202)
    assert len(bodies(engine)) == 1
    other = json.dumps(TWO[:1]).encode()
    problem(endpoint.post("/products", data=other, headers=signed(other) | ASYNC), 409)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_signature_that_is_there_must_be_right_also_in_unsigned_mode(
    local: Endpoint, engine: Engine, name: str
) -> None:
    body = json.dumps(TWO).encode()
    problem(local.import_(TWO, {name: signed(body)[name]}), 401)
    changed = signed(body) | {name: signed(body)[name] + "0"}
    problem(local.post("/products", data=body, headers=changed), 401)
    assert bodies(engine) == []


def test_those_who_wait_are_answered_when_the_endpoint_stops(
    postgres_url: str, engine: Engine
) -> None:
    rules = settings(postgres_url, endpoint_unsigned_loopback=True)
    with ThreadPoolExecutor(1) as caller, Endpoint(rules) as endpoint:
        answer = caller.submit(endpoint.import_, TWO)
        while not bodies(engine):
            pass
        endpoint.stop()
        as_json(answer.result(), 202)


def test_a_wait_that_runs_out_is_answered_with_the_message(local: Endpoint) -> None:
    answer = local.import_(TWO, {"prefer": "handling=lenient, wait=1; x"})
    assert as_json(answer, 202)["location"] == answer.headers["Location"]
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("prefer", ["wait=x", "wait", "wait=-1", ",;=", "wait=99999999999999"])
@pytest.mark.usefixtures("worker")
def test_a_preference_that_is_not_understood_changes_nothing(local: Endpoint, prefer: str) -> None:
    assert titles(local.import_(TWO, {"prefer": prefer})) == ["Test product 1", "Test product 2"]
