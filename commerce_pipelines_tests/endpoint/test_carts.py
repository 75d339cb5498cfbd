"""Carts over HTTP: what may be put into one, at what price, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines.errors import Unavailable
from commerce_pipelines_tests.endpoint.buying import Buying, line
from commerce_pipelines_tests.endpoint.running import as_json, problem
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.erp_prices import change


def test_an_added_line_has_the_erps_price_and_adds_up(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    cart_id = buying.cart()

    cart = buying.added(cart_id, mug, 3)

    assert (line(cart)["unit_price"], line(cart)["total_minor"]) == ("9.99", 2997)
    assert (cart["total_minor"], cart["minor_digits"], cart["version"]) == (2997, 2, 2)
    assert buying.show(cart_id) == cart


def test_the_other_path_to_add_a_line_does_the_same(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug"), buying.cart()
    path = f"/store/cart/{cart_id}/custom-line-items"

    answer = as_json(buying.endpoint.post(path, json={"variant_id": mug, "quantity": 2}), 200)

    assert answer == {"success": True, "cart": buying.show(cart_id)}


def test_one_piece_and_seven_cost_the_same_each_and_a_tier_is_another_price(
    buying: Buying,
) -> None:
    mug = buying.sell("mug", (1, "9.99"), (10, "8.50"))
    one, seven, ten = (line(buying.added(buying.cart(), mug, n)) for n in (1, 7, 10))

    assert one["unit_price"] == seven["unit_price"] == "9.99"
    assert seven["total_minor"] == 7 * one["total_minor"]
    assert (ten["unit_price"], ten["min_quantity"], ten["total_minor"]) == ("8.50", 10, 8500)


def test_more_of_the_same_is_one_line_at_the_price_of_all_its_pieces(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug", (1, "9.99"), (10, "8.50")), buying.cart()

    buying.added(cart_id, mug, 4)
    cart = buying.added(cart_id, mug, 6)

    assert len(cart["lines"]) == 1
    assert (line(cart)["quantity"], line(cart)["unit_price"]) == (10, "8.50")
    assert cart["total_minor"] == 8500


@pytest.mark.parametrize(
    ("currency", "amount", "unit_price", "total"),
    [
        ("JPY", "1200", "1200", 2400),
        ("KWD", "1.234", "1.234", 2468),
        ("EUR", "0.0025", "0.0025", 0),
    ],
)
def test_currencies_keep_their_own_digits(
    buying: Buying, currency: str, amount: str, unit_price: str, total: int
) -> None:
    mug = buying.sell("mug", (1, amount), currency=currency)

    cart = buying.added(buying.cart(currency), mug, 2)

    assert (line(cart)["unit_price"], cart["total_minor"]) == (unit_price, total)


def test_a_fresh_price_book_is_not_asked_about_and_an_old_one_is(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    buying.added(buying.cart(), mug)
    asked = len(buying.erp.asked)

    buying.added(buying.cart(), mug)
    assert len(buying.erp.asked) == asked

    buying.age(1000)
    buying.sell("mug", (1, "7.77"))
    assert line(buying.added(buying.cart(), mug))["unit_price"] == "7.77"
    assert len(buying.erp.asked) > asked


def test_a_company_gets_its_groups_price(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    buying.sell("mug", (1, "7.00"), group="gold")
    customer = buying.company("Acme", "gold")

    assert line(buying.added(buying.cart(customer_id=customer), mug))["unit_price"] == "7.00"
    assert line(buying.added(buying.cart(), mug))["unit_price"] == "9.99"


def test_refusals_come_in_their_order_with_a_code_and_a_sentence(buying: Buying) -> None:
    mug = buying.sell("mug", stock=0, currency="CHF")
    cart_id = buying.cart(customer_id=buying.company("Acme", forbidden=["mug"]))

    def told(status: int) -> tuple[str, str]:
        buying.age(1000)
        found = problem(buying.add(cart_id, mug), status)
        assert found["type"] == f"urn:commerce-pipelines:problem:{found['code']}"
        return found["code"], found["detail"]

    missing = problem(buying.add(cart_id, "none"), 404)
    assert (missing["code"], missing["detail"]) == (
        "variant_not_found",
        "There is no variant none.",
    )
    assert told(403) == ("company_may_not_buy", "Acme may not buy mug.")
    buying.erp.forbidden.clear()
    assert told(409) == ("out_of_stock", "1 pieces of mug are wanted; 0 are left.")
    buying.erp.stock("Emug", 1)
    assert told(409) == ("no_price", "mug has no price in EUR.")
    buying.sell("mug", (1, "5"), stock=1)
    buying.age(1000)
    assert buying.added(cart_id, mug)["total_minor"] == 500


def test_more_than_the_stock_is_refused_counting_what_is_in_the_cart(buying: Buying) -> None:
    mug, cart_id = buying.sell("mug", stock=5), buying.cart()
    buying.added(cart_id, mug, 3)

    told = problem(buying.add(cart_id, mug, 3), 409)

    assert (told["code"], told["available"]) == ("out_of_stock", 5)
    assert line(buying.show(cart_id))["quantity"] == 3


def test_beyond_the_stock_is_sold_where_the_erp_allows_it(buying: Buying) -> None:
    mug = buying.sell("mug", stock=0, beyond=True)

    assert line(buying.added(buying.cart(), mug, 3))["quantity"] == 3


def test_pieces_that_nobody_counts_are_always_there(buying: Buying) -> None:
    mug = buying.sell("mug", stock=0)
    change(buying.engine, "UPDATE variant SET manage_inventory = false")

    assert line(buying.added(buying.cart(), mug, 3))["quantity"] == 3


def test_what_the_erp_does_not_know_has_no_price(buying: Buying) -> None:
    mug = buying.sell("mug")
    change(buying.engine, "DELETE FROM external_id WHERE entity = 'variant'")

    told = problem(buying.add(buying.cart(), mug), 409)

    assert told["code"] == "no_price"
    assert "does not know" in told["detail"]


def test_what_is_not_published_is_not_there(buying: Buying) -> None:
    mug = buying.sell("mug")
    change(buying.engine, "UPDATE product SET status = 'archived'")

    assert problem(buying.add(buying.cart(), mug), 404)["code"] == "variant_not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"variant_id": "v-mug", "quantity": 1, "unit_price": "0.01"},
        {"variant_id": "v-mug", "quantity": 0},
        {"variant_id": "v-mug", "quantity": -1},
        {"variant_id": "v-mug", "quantity": 1.5},
        {"variant_id": "v-mug", "quantity": "1"},
        {"variant_id": "v-mug", "quantity": True},
        {"variant_id": "v-mug", "quantity": 1_000_001},
        {"variant_id": "v-mug"},
        {"variant_id": "", "quantity": 1},
        {"variant_id": "\x00", "quantity": 1},
        {"quantity": 1},
        [],
    ],
)
def test_a_price_from_outside_or_half_a_wish_is_refused(buying: Buying, body: Any) -> None:
    buying.sell("mug")
    cart_id = buying.cart()

    path = f"/store/carts/{cart_id}/custom-line-items"
    problem(buying.endpoint.post(path, json=body), 422)

    assert buying.show(cart_id)["lines"] == []


def test_while_the_erp_is_away_an_old_price_is_taken_and_a_day_old_one_is_not(
    buying: Buying,
) -> None:
    mug, cart_id = buying.sell("mug", (1, "9.99")), buying.cart()
    buying.added(cart_id, mug)
    away = failing(Unavailable("away"))
    buying.erp.script("fetch_prices", *[away] * 5)
    buying.erp.script("fetch_stock", *[away] * 5)

    buying.age(2000)
    assert line(buying.added(cart_id, mug))["unit_price"] == "9.99"
    buying.age(24 * 3600)
    answer = buying.add(cart_id, mug)

    problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert line(buying.show(cart_id))["quantity"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"currency_code": "XYZ"},
        {"currency_code": 1},
        {"currency_code": "EUR", "email": "nobody"},
        {"currency_code": "EUR", "email": "a b@example.com"},
        {"currency_code": "EUR", "shipping_address": {"city": "Berlin"}},
        {"currency_code": "EUR", "customer_id": "cus_none"},
        {"currency_code": "EUR", "total_minor": 1},
    ],
)
def test_half_a_cart_is_refused(buying: Buying, body: Any) -> None:
    problem(buying.endpoint.post("/store/carts", json=body), 422)


def test_ids_cannot_be_guessed(buying: Buying) -> None:
    ids = {buying.cart() for _ in range(5)} | {buying.company("Acme")}

    assert len(ids) == 6
    assert all(len(bytes.fromhex(each.partition("_")[2])) == 16 for each in ids)
