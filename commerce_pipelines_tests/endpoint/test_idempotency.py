"""The same request under the same key: one effect, and the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from commerce_pipelines_tests.endpoint.buying import Buying, key
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, problem, signed

TIMES = 100


def at_once(ask: Callable[[], requests.Response], times: int = TIMES) -> list[requests.Response]:
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(ask) for _ in range(times)]]


def counted(buying: Buying, table: str) -> int:
    (count,) = buying.values(f"SELECT count(*) FROM {table}")
    return int(count)


def test_a_line_added_a_hundred_times_under_one_key_is_added_once(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()

    answers = at_once(lambda: buying.add(cart_id, mug, 2, headers=key("k")))

    settled = [each for each in answers if each.status_code != 503]
    assert {(each.status_code, each.content) for each in settled} == {(200, settled[0].content)}
    assert len({each.headers["ETag"] for each in settled}) == 1
    assert [line["quantity"] for line in buying.show(cart_id)["lines"]] == [2]


def test_a_cart_completed_a_hundred_times_under_one_key_is_one_order(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug"), buying.ready_cart()
    buying.added(cart_id, mug)

    answers = at_once(lambda: buying.complete(cart_id, headers=key("k")))

    settled = [each for each in answers if each.status_code != 503]
    assert {each.content for each in settled} == {settled[0].content}
    assert {each.status_code for each in settled} == {201}
    assert counted(buying, "store_order") == counted(buying, "reservation") == 1


@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("/store/carts", {"currency_code": "EUR"}, "cart"),
        ("/store/customers", {"email": "anna@example.com"}, "customer"),
        ("/store/brands", {"name": "Acme"}, "brand"),
    ],
)
def test_what_is_created_a_hundred_times_under_one_key_is_there_once(
    buying: Buying, path: str, body: dict[str, str], table: str
) -> None:
    answers = at_once(lambda: buying.endpoint.post(path, json=body, headers=key("k")))

    settled = [each for each in answers if each.status_code != 503]
    assert {(each.status_code, each.content) for each in settled} == {(201, settled[0].content)}
    assert len({each.headers["Location"] for each in settled}) == 1
    assert counted(buying, table) == 1


def test_another_body_under_the_same_key_is_refused_and_the_first_answer_stays(
    buying: Buying,
) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    first = buying.add(cart_id, mug, 1, headers=key("k"))

    assert problem(buying.add(cart_id, mug, 2, headers=key("k")), 422)["code"] == "key_reused"
    assert buying.add(cart_id, mug, 1, headers=key("k")).content == first.content
    assert buying.show(cart_id)["lines"][0]["quantity"] == 1


def test_a_key_counts_for_its_cart_alone_and_for_both_paths_to_it(buying: Buying) -> None:
    mug, one, other = buying.sell("mug"), buying.cart(), buying.cart()

    first = as_json(buying.add(one, mug, headers=key("k")), 200)
    second = as_json(buying.add(other, mug, headers=key("k")), 200)
    body = {"variant_id": mug, "quantity": 1}
    path = f"/store/cart/{one}/custom-line-items"
    again = buying.endpoint.post(path, json=body, headers=key("k"))

    assert first["cart"]["id"] != second["cart"]["id"]
    assert as_json(again, 200) == first
    assert buying.show(one)["lines"][0]["quantity"] == 1


def test_a_refusal_stays_the_answer_to_its_key(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug", stock=0), buying.cart()
    refused = buying.add(cart_id, mug, headers=key("k"))
    buying.sell("mug", stock=5)
    buying.age(1000)

    assert problem(refused, 409)["code"] == "out_of_stock"
    again = buying.add(cart_id, mug, headers=key("k"))
    assert (again.status_code, again.content) == (409, refused.content)
    assert again.headers["Content-Type"] == "application/problem+json"
    as_json(buying.add(cart_id, mug, headers=key("k2")), 200)


def test_what_found_no_place_is_not_kept(buying: Buying) -> None:
    problem(buying.add("cart_none", "v", headers=key("k")), 404)

    assert counted(buying, "idempotency_key") == 0


@pytest.mark.parametrize("name", ["", "x" * 300, "é", "a\tb"])
def test_what_is_no_key_is_refused(buying: Buying, name: str) -> None:
    headers = {"Idempotency-Key": name.encode("latin-1")}
    body = {"currency_code": "EUR"}

    problem(buying.endpoint.post("/store/carts", json=body, headers=headers), 400)
    assert counted(buying, "cart") == 0


def test_a_signed_request_repeated_as_it_is_has_one_effect(endpoint: Endpoint) -> None:
    body = b'{"currency_code": "EUR"}'
    headers = signed(body)

    first, again = (endpoint.post("/store/carts", data=body, headers=headers) for _ in "ab")

    assert first.content == again.content
    problem(endpoint.post("/store/carts", data=body, headers={**headers, "webhook-id": "2"}), 401)
    cart_id = as_json(first, 201)["id"]
    problem(endpoint.post(f"/store/carts/{cart_id}/complete"), 401)
    told = endpoint.post(f"/store/carts/{cart_id}/complete", headers=signed(b"", id_="3"))
    assert problem(told, 422)["code"] == "cart_incomplete"
