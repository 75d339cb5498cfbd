"""Carts over HTTP: what changes in one, also by several at once, and whose it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from commerce_pipelines_tests.endpoint.buying import ADDRESSES, Buying, line, of_line
from commerce_pipelines_tests.endpoint.running import as_json, problem


def test_a_line_gets_another_quantity_with_all_checks(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug", (1, "9.99"), (10, "8.50"), stock=12), buying.cart()
    path = of_line(cart_id, line(buying.added(cart_id, mug))["id"])

    cart = as_json(buying.endpoint.ask("PATCH", path, json={"quantity": 12}), 200)
    assert (line(cart)["unit_price"], cart["total_minor"]) == ("8.50", 10200)
    told = problem(buying.endpoint.ask("PATCH", path, json={"quantity": 13}), 409)
    assert told["code"] == "out_of_stock"
    assert buying.show(cart_id) == cart


def test_a_removed_line_is_gone(buying: Buying) -> None:
    mug, cup, cart_id = buying.sell("mug"), buying.sell("cup", (1, "1")), buying.cart()
    first = line(buying.added(cart_id, mug))
    buying.added(cart_id, cup)

    cart = as_json(buying.endpoint.ask("DELETE", of_line(cart_id, first["id"])), 200)

    assert [each["variant_id"] for each in cart["lines"]] == [cup]
    assert cart["total_minor"] == 100
    assert buying.show(cart_id) == cart
    problem(buying.endpoint.ask("DELETE", of_line(cart_id, first["id"])), 404)


def test_of_another_cart_nothing_can_be_told_from_what_is_not_there(buying: Buying) -> None:
    mug, mine, other = buying.sell("mug"), buying.cart(), buying.cart()
    theirs = line(buying.added(other, mug))["id"]

    def told(cart_id: str, line_id: str, method: str) -> str:
        body: dict[str, Any] = {"json": {"quantity": 2}} if method == "PATCH" else {}
        answer = buying.endpoint.ask(method, of_line(cart_id, line_id), **body)
        detail: str = problem(answer, 404)["detail"]
        return detail.replace(line_id, "…").replace(cart_id, "…")

    for method in ("PATCH", "DELETE"):
        assert told(mine, theirs, method) == told(mine, "line_none", method)
    for method, path in [("GET", ""), ("PATCH", ""), ("POST", "/complete")]:
        body: dict[str, Any] = {"json": {}} if method != "GET" else {}
        problem(buying.endpoint.ask(method, f"/store/carts/cart_none{path}", **body), 404)
    assert line(buying.show(other))["quantity"] == 1


def test_a_carts_own_facts_change_and_what_is_absent_stays(buying: Buying) -> None:
    cart_id = buying.cart(email="anna@example.com")
    path = f"/store/carts/{cart_id}"

    cart = as_json(buying.endpoint.ask("PATCH", path, json=ADDRESSES), 200)
    assert cart["email"] == "anna@example.com"
    assert cart["shipping_address"]["city"] == "Berlin"
    cleared = as_json(buying.endpoint.ask("PATCH", path, json={"email": None}), 200)
    assert (cleared["email"], cleared["shipping_address"]) == (None, cart["shipping_address"])
    assert cleared["version"] == cart["version"] + 1
    assert buying.show(cart_id) == cleared


def test_for_another_customer_every_line_is_priced_anew_or_none(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    buying.sell("mug", (1, "7.00"), group="gold")
    gold, banned = buying.company("Gold", "gold"), buying.company("Banned", forbidden=["mug"])
    cart_id = buying.cart()
    buying.added(cart_id, mug, 2)
    path = f"/store/carts/{cart_id}"

    cart = as_json(buying.endpoint.ask("PATCH", path, json={"customer_id": gold}), 200)
    assert (line(cart)["unit_price"], cart["total_minor"]) == ("7.00", 1400)
    told = problem(buying.endpoint.ask("PATCH", path, json={"customer_id": banned}), 403)
    assert told["code"] == "company_may_not_buy"
    told = problem(buying.endpoint.ask("PATCH", path, json={"customer_id": "cus_none"}), 422)
    assert told["code"] == "customer_not_found"
    assert buying.show(cart_id) == cart


def test_pieces_added_at_once_are_all_kept(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: buying.add(cart_id, mug), range(24)))

    assert {answer.status_code for answer in answers} == {200}
    cart = buying.show(cart_id)
    assert [each["quantity"] for each in cart["lines"]] == [24]
    assert cart["version"] == 25


def test_who_has_seen_another_version_is_told_so(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    seen = buying.endpoint.get(f"/store/carts/{cart_id}").headers["ETag"]
    headers = {"If-Match": seen}

    as_json(buying.add(cart_id, mug, headers=headers), 200)

    problem(buying.add(cart_id, mug, headers=headers), 412)
    assert line(buying.show(cart_id))["quantity"] == 1
