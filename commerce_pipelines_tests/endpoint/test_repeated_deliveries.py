"""A signed delivery sent again, by its sender or by who captured it: one effect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import Engine

from commerce_pipelines.errors import Unavailable
from commerce_pipelines_tests.endpoint.buying import Buying, key
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, problem, signed
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.erp_prices import rows

COPIES = 20
REPEATED = "delivery_repeated"


class Captured:
    """A signed request as it went over the wire; only what is not signed can be another."""

    def __init__(
        self, endpoint: Endpoint, path: str, body: Any, method: str = "POST", id_: str = "msg_1"
    ) -> None:
        self._ask = endpoint.ask
        self._method, self._path = method, path
        self._body = json.dumps(body).encode() if body is not None else b""
        self._headers = signed(self._body, id_=id_)

    def send(self, name: str | None = None, **others: str) -> requests.Response:
        """Sends it under a key, or under none, and with other headers that are not signed."""
        headers = {**self._headers, **(key(name) if name else {}), **others}
        return self._ask(self._method, self._path, data=self._body, headers=headers)


def refused(answer: requests.Response) -> None:
    told = problem(answer, 409)
    assert told["code"] == REPEATED
    assert "msg_1" in told["detail"]


def effects(buying: Buying, table: str) -> int:
    (count,) = buying.values(f"SELECT count(*) FROM {table}")
    return int(count)


def line(variant: str, quantity: int = 2) -> dict[str, Any]:
    return {"variant_id": variant, "quantity": quantity}


def adding(buying: Buying, cart_id: str, variant: str) -> Captured:
    """The delivery that asks for pieces in a cart."""
    return Captured(buying.endpoint, f"/store/carts/{cart_id}/custom-line-items", line(variant))


def sent_at_once(send: Callable[[str], requests.Response]) -> Iterator[requests.Response]:
    with ThreadPoolExecutor(COPIES) as pool:
        yield from pool.map(send, [f"key {number}" for number in range(COPIES)])


@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("/store/carts", {"currency_code": "EUR"}, "cart"),
        ("/store/customers", {"email": "anna@example.com"}, "customer"),
        ("/store/brands", {"name": "Acme"}, "message"),
    ],
)
def test_what_is_created_by_copies_under_other_keys_is_there_once(
    buying: Buying, path: str, body: dict[str, str], table: str
) -> None:
    answers = list(sent_at_once(Captured(buying.endpoint, path, body).send))

    statuses = sorted(each.status_code for each in answers)
    assert statuses == [201] + [409] * (COPIES - 1)
    for each in answers:
        if each.status_code == 409:
            refused(each)
    assert effects(buying, table) == effects(buying, "idempotency_key") == 1


def test_a_line_added_by_copies_under_other_keys_is_added_once(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    path = f"/store/carts/{cart_id}/custom-line-items"

    answers = list(sent_at_once(Captured(buying.endpoint, path, line(mug)).send))

    assert sorted(each.status_code for each in answers) == [200] + [409] * (COPIES - 1)
    assert [each["quantity"] for each in buying.show(cart_id)["lines"]] == [2]


def test_a_copy_cannot_bring_back_what_was_changed_since(buying: Buying) -> None:
    captured = Captured(buying.endpoint, "/store/brands", {"name": "Acme", "description": "Anvils"})
    brand = as_json(captured.send("k"), 201)
    later = {"name": "Acme", "description": "Rockets"}
    as_json(buying.endpoint.post("/store/brands", json=later), 200)

    refused(captured.send("k2"))

    shown = as_json(buying.endpoint.get(f"/store/brands/{brand['id']}"), 200)
    assert (shown["description"], shown["version"]) == ("Rockets", 2)


@pytest.mark.parametrize("first", ["k", None])
def test_the_same_key_or_none_gets_the_first_answer(buying: Buying, first: str | None) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    captured = Captured(buying.endpoint, f"/store/carts/{cart_id}/custom-line-items", line(mug))
    answer = captured.send(first)

    again = [captured.send(first), captured.send(None)]

    assert answer.status_code == 200
    assert [(each.status_code, each.content) for each in again] == [(200, answer.content)] * 2
    assert again[0].headers["ETag"] == again[1].headers["ETag"] == answer.headers["ETag"]
    refused(captured.send("k2"))
    assert [each["quantity"] for each in buying.show(cart_id)["lines"]] == [2]


def test_a_request_signed_anew_under_its_key_is_no_new_one_for_whoever_copies_it(
    buying: Buying,
) -> None:
    body = {"currency_code": "EUR"}
    first = Captured(buying.endpoint, "/store/carts", body, id_="msg_0").send("k")
    again = Captured(buying.endpoint, "/store/carts", body)

    assert again.send("k").content == again.send("k").content == first.content
    refused(again.send("k2"))
    assert again.send().content == first.content
    assert effects(buying, "cart") == 1


def test_a_delivery_that_was_not_decided_may_come_again_under_another_key(
    buying: Buying,
) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    captured = Captured(buying.endpoint, f"/store/carts/{cart_id}/custom-line-items", line(mug))
    buying.erp.script("fetch_prices", failing(Unavailable("The ERP is away.")))

    problem(captured.send("k"), 503)
    as_json(captured.send("k2"), 200)

    assert [each["quantity"] for each in buying.show(cart_id)["lines"]] == [2]


def test_the_same_delivery_with_another_body_is_refused(buying: Buying) -> None:
    as_json(Captured(buying.endpoint, "/store/brands", {"name": "Acme"}).send(), 201)

    told = problem(Captured(buying.endpoint, "/store/brands", {"name": "Apex"}).send(), 422)

    assert told["code"] == "key_reused"


def test_a_copy_of_a_renaming_does_not_rename_again(buying: Buying) -> None:
    brand = as_json(buying.endpoint.post("/store/brands", json={"name": "Acme"}), 201)
    path = f"/store/brands/{brand['id']}"
    captured = Captured(buying.endpoint, path, {"name": "Apex"}, "PATCH")
    renamed = captured.send()
    as_json(buying.endpoint.ask("PATCH", path, json={"name": "Acme"}), 200)

    again = captured.send()

    assert as_json(renamed, 200)["name"] == "Apex"
    assert again.content == renamed.content
    refused(captured.send("k"))
    assert as_json(buying.endpoint.get(path), 200)["name"] == "Acme"


@pytest.mark.parametrize(
    ("path", "host"),
    [("/store/carts", "localhost/x"), ("/store%2Fcarts", "localhost")],
)
def test_a_copy_is_known_however_its_address_is_written(
    endpoint: Endpoint, engine: Engine, path: str, host: str
) -> None:
    body = {"currency_code": "EUR"}
    as_json(Captured(endpoint, "/store/carts", body).send("k"), 201)

    refused(Captured(endpoint, path, body).send("k2", Host=host))

    assert rows(engine, "SELECT count(*) FROM cart") == [(1,)]


def test_a_copy_for_another_cart_is_refused_and_says_so(buying: Buying) -> None:
    mug, one, other = buying.sell("mug"), buying.cart(), buying.cart()
    first = adding(buying, one, mug)
    answer = first.send()

    copies = [adding(buying, other, mug).send(name) for name in (None, "k")]

    for copy in copies:
        refused(copy)
        assert "another address" in copy.json()["detail"]
        assert one not in copy.text
    assert buying.show(other)["lines"] == []
    assert first.send().content == answer.content


def test_copies_for_many_carts_at_once_have_one_effect(buying: Buying) -> None:
    mug, carts = buying.sell("mug"), [buying.cart() for _ in range(COPIES)]

    with ThreadPoolExecutor(COPIES) as pool:
        answers = list(pool.map(lambda cart: adding(buying, cart, mug).send("k"), carts))

    assert sorted(each.status_code for each in answers) == [200] + [409] * (COPIES - 1)
    assert sum(len(buying.show(cart)["lines"]) for cart in carts) == 1


def test_copies_for_two_routes_at_once_have_one_effect(buying: Buying) -> None:
    carts = [buying.cart() for _ in range(COPIES // 2)]
    body = {"email": "anna@example.com"}
    changing = [Captured(buying.endpoint, f"/store/carts/{cart}", body, "PATCH") for cart in carts]
    creating = [Captured(buying.endpoint, "/store/customers", body) for _ in carts]

    with ThreadPoolExecutor(COPIES) as pool:
        asked = [
            pool.submit(each.send) for pair in zip(changing, creating, strict=True) for each in pair
        ]
        statuses = [each.result().status_code for each in asked]

    changed = sum(buying.show(cart)["email"] is not None for cart in carts)
    assert changed + effects(buying, "customer") == 1
    # Whoever asks to create the customer once more gets the first answer.
    assert statuses.count(409) >= COPIES // 2 - 1
    assert set(statuses) <= {200, 201, 409}


def test_what_has_no_body_cannot_be_copied_for_another_cart_either(buying: Buying) -> None:
    mug = buying.sell("mug")
    one, other = (buying.ready_cart() for _ in range(2))
    for cart in (one, other):
        buying.added(cart, mug)
    as_json(Captured(buying.endpoint, f"/store/carts/{one}/complete", None).send(), 201)

    refused(Captured(buying.endpoint, f"/store/carts/{other}/complete", None).send())

    assert effects(buying, "store_order") == 1


def test_a_copy_under_a_key_that_is_known_there_is_refused_too(buying: Buying) -> None:
    mug, one, other = buying.sell("mug"), buying.cart(), buying.cart()
    as_json(buying.add(other, mug, 2, headers=key("k")), 200)
    as_json(adding(buying, one, mug).send(), 200)

    refused(adding(buying, other, mug).send("k"))


LISTED = [{"title": "Mug", "external_id": "m-1"}]
AT_ONCE = {"Prefer": "respond-async"}


@pytest.mark.parametrize(
    ("first", "copy"),
    [("/webhooks/pim", "/products"), ("/products", "/webhooks/pim")],
)
def test_a_list_copied_to_the_other_route_that_takes_one_is_the_same_delivery(
    buying: Buying, first: str, copy: str
) -> None:
    stored = as_json(Captured(buying.endpoint, first, LISTED).send(**AT_ONCE), 202)

    assert as_json(Captured(buying.endpoint, copy, LISTED).send(**AT_ONCE), 202) == stored
    problem(Captured(buying.endpoint, copy, LISTED * 2).send(**AT_ONCE), 409)
    assert effects(buying, "message") == 1


def test_copies_of_a_list_for_both_routes_at_once_are_one_delivery(buying: Buying) -> None:
    captured = [
        Captured(buying.endpoint, path, LISTED) for path in ("/webhooks/pim", "/products") * 10
    ]

    with ThreadPoolExecutor(COPIES) as pool:
        answers = list(pool.map(lambda each: each.send(**AT_ONCE), captured))

    assert [each.status_code for each in answers] == [202] * COPIES
    assert effects(buying, "message") == 1


@pytest.mark.parametrize("path", ["/webhooks/pim", "/products"])
@pytest.mark.parametrize("body", [{"name": "Acme"}, {"currency_code": "EUR"}, None])
def test_what_the_store_is_asked_for_is_no_list(buying: Buying, path: str, body: Any) -> None:
    problem(Captured(buying.endpoint, path, body).send(), 400 if body is None else 422)

    assert effects(buying, "message") == 0


@pytest.mark.parametrize("body", [[], {"products": []}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/store/brands"),
        ("POST", "/store/customers"),
        ("POST", "/store/carts"),
        ("PATCH", "/store/carts/{cart}"),
        ("POST", "/store/carts/{cart}/custom-line-items"),
        ("POST", "/store/carts/{cart}/complete"),
        ("DELETE", "/store/carts/{cart}/line-items/line_1"),
        ("POST", "/store/products/prod_1/erp"),
    ],
)
def test_a_list_is_nothing_that_the_store_can_be_asked_for(
    buying: Buying, method: str, path: str, body: Any
) -> None:
    captured = Captured(buying.endpoint, path.format(cart=buying.cart()), body, method)

    problem(captured.send(), 422)
