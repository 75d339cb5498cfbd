"""Prices over HTTP: fresh, asked for, or as they were, with their age."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from commerce_pipelines.errors import Unavailable
from commerce_pipelines_tests.endpoint.buying import Buying
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, problem
from commerce_pipelines_tests.services.erp_by_hand import failing


def test_a_price_is_shown_with_its_tier_and_its_age(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"), (10, "8.50"))

    price = as_json(buying.price(mug, quantity=12), 200)

    assert price["unit_price"] == "8.50"
    assert (price["min_quantity"], price["total_minor"]) == (10, 10200)
    assert price["age_seconds"] < 60
    assert price["stale"] is False


def test_a_customer_sees_the_price_of_their_group(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    buying.sell("mug", (1, "7.00"), group="gold")
    customer = buying.company("Acme", "gold")

    assert as_json(buying.price(mug, customer_id=customer), 200)["unit_price"] == "7.00"
    assert as_json(buying.price(mug), 200)["unit_price"] == "9.99"


def test_while_the_erp_is_away_the_old_price_is_shown_and_says_so(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    as_json(buying.price(mug), 200)
    buying.age(2000)
    buying.erp.script("fetch_prices", failing(Unavailable("away")))

    price = as_json(buying.price(mug), 200)

    assert (price["unit_price"], price["stale"]) == ("9.99", True)
    assert price["age_seconds"] > 2000


def test_for_an_old_price_nobody_waits_long_and_the_next_one_sees_the_new(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    as_json(buying.price(mug), 200)
    buying.age(2000)
    buying.sell("mug", (1, "7.77"))
    over = threading.Event()
    buying.erp.script("fetch_prices", lambda: over.wait(30))

    started = time.monotonic()
    price = as_json(buying.price(mug), 200)
    seconds = time.monotonic() - started
    over.set()

    assert (price["unit_price"], price["stale"]) == ("9.99", True)
    # A tenth of a second, and what the store and this machine need.
    assert seconds < 0.7
    deadline = time.monotonic() + 10
    while as_json(buying.price(mug), 200)["unit_price"] != "7.77":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_day_old_price_is_not_shown(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    as_json(buying.price(mug), 200)
    buying.age(25 * 3600)
    buying.erp.script("fetch_prices", failing(Unavailable("away", retry_after_seconds=7)))

    answer = buying.price(mug)

    problem(answer, 503)
    assert answer.headers["Retry-After"] == "7"


def test_one_question_at_a_time_is_asked_about_one_price(buying: Buying) -> None:
    mug = buying.sell("mug", (1, "9.99"))
    over = threading.Event()
    buying.erp.script("fetch_prices", lambda: over.wait(0.3))

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: buying.price(mug), range(20)))

    assert buying.erp.asked.count("fetch_prices") == 1
    assert {as_json(each, 200)["unit_price"] for each in answers} == {"9.99"}


@pytest.mark.parametrize(
    ("variant", "query", "status", "code"),
    [
        ("v-none", {}, 404, "variant_not_found"),
        ("v-mug", {"currency": "CHF"}, 409, "no_price"),
        ("v-mug", {"customer_id": "cus_none"}, 422, "customer_not_found"),
        ("v-mug", {"currency": "XYZ"}, 422, None),
        ("v-mug", {"quantity": 0}, 422, None),
        ("v-mug", {"quantity": 10**10}, 422, None),
        ("%00", {}, 422, None),
    ],
)
def test_what_has_no_price_is_a_problem(
    buying: Buying, variant: str, query: dict[str, str], status: int, code: str | None
) -> None:
    buying.sell("mug")

    assert problem(buying.price(variant, **query), status).get("code") == code


def test_without_any_erp_there_are_no_prices_and_all_else_works(local: Endpoint) -> None:
    cart = as_json(local.post("/store/carts", json={"currency_code": "EUR"}), 201)

    assert as_json(local.get(f"/store/carts/{cart['id']}"), 200) == cart
