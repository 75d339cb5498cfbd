from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines_tests.endpoint.running import (
    Endpoint,
    as_json,
    problem,
    settings,
)

FULL = {
    "title": "Mug",
    "external_id": 17,
    "description": "Holds tea",
    "brand": "Acme",
    "images": ["https://example.com/mug.jpg"],
    "options": [{"title": "Size", "values": ["S", "M"]}, {"title": "Colour", "values": ["red"]}],
    "variants": [
        {"sku": "mug-m", "options": {"Size": "M"}, "title": "Medium"},
        {"sku": "mug-s", "options": {"Size": "S"}, "manage_inventory": False},
    ],
    "metadata": {"care": {"dishwasher": True}, "weight": 0.25},
}


@pytest.mark.usefixtures("worker")
def test_a_product_is_shown_with_all_that_belongs_to_it(local: Endpoint) -> None:
    id_ = as_json(local.import_([FULL]), 201)[0]["id"]
    shown = as_json(local.get(f"/store/products/{id_}"), 200)
    for name in ("title", "description", "brand", "images", "options", "metadata"):
        assert shown[name] == FULL[name]
    assert (shown["external_id"], shown["handle"], shown["status"]) == ("17", "mug", "published")
    assert [variant["sku"] for variant in shown["variants"]] == ["mug-m", "mug-s"]
    assert [variant["title"] for variant in shown["variants"]] == ["Medium", "S"]
    assert shown["variants"][1]["options"] == {"Size": "S"}
    assert shown["variants"][1]["manage_inventory"] is False


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("limit", [1, 3, 7, 8, 500])
def test_the_pages_together_hold_each_product_once(local: Endpoint, limit: int) -> None:
    imported = as_json(local.import_([{"title": f"Product {n}"} for n in range(7)]), 201)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = as_json(
            local.get("/store/products", params={"limit": str(limit), "after": after}), 200
        )
        assert 0 < len(page["products"]) <= limit
        found += [product["id"] for product in page["products"]]
        after = page["next"]
    assert sorted(found) == found
    assert set(found) == {product["id"] for product in imported}
    assert len(found) == 7


def test_an_empty_store_has_one_empty_page(local: Endpoint) -> None:
    assert as_json(local.get("/store/products"), 200) == {"products": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "1e9", "9" * 5000])
def test_a_limit_out_of_range_is_refused(local: Endpoint, limit: str) -> None:
    told = problem(local.get("/store/products", params={"limit": limit}), 422)
    assert told["errors"][0]["field"] == "query.limit"


@pytest.mark.parametrize(
    "path",
    [
        "/store/products/none",
        "/store/products/' OR 1=1 --",
        "/messages/1",
        "/messages/9223372036854775807",
        "/nowhere",
        "/store/products/a/b",
        "/../etc/passwd",
    ],
)
def test_what_is_not_there_is_a_problem(local: Endpoint, path: str) -> None:
    assert problem(local.get(path), 404)["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/messages/0",
        "/messages/-1",
        "/messages/9223372036854775808",
        "/messages/x",
        "/store/products/%00",
        "/store/products?after=%00",
        "/store/products?after=%ff",
        "/store/products/%ed%a0%80",
    ],
)
def test_an_id_that_cannot_be_one_is_a_problem(local: Endpoint, path: str) -> None:
    assert problem(local.get(path), 422)["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/products"), ("PUT", "/webhooks/pim"), ("DELETE", "/messages/1"), ("POST", "/docs")],
)
def test_another_method_is_a_problem_that_names_the_right_one(
    local: Endpoint, method: str, path: str
) -> None:
    answer = local.ask(method, path)
    problem(answer, 405)
    assert answer.headers["Allow"]


def test_a_message_names_its_run_and_where_to_see_it(postgres_url: str, engine: Engine) -> None:
    rules = settings(
        postgres_url, endpoint_unsigned_loopback=True, dagster_url="http://127.0.0.1:1/"
    )
    with Endpoint(rules) as endpoint:
        location = as_json(endpoint.import_([FULL], {"prefer": "respond-async"}), 202)["location"]
        assert as_json(endpoint.get(location), 200)["run_url"] is None
        with engine.begin() as connection:
            connection.execute(text("UPDATE message SET run_id = 'r-1', saga_id = 's-1'"))
        message = as_json(endpoint.get(location), 200)
    assert message["run_url"] == "http://127.0.0.1:1/runs/r-1"
    assert (message["run_id"], message["saga_id"], message["outcome"]) == ("r-1", "s-1", None)


def test_a_delivery_is_found_by_each_of_its_parts_and_dead_if_one_is(
    local: Endpoint, engine: Engine
) -> None:
    feed = [{"title": f"Product {number}"} for number in range(2_001)]
    id_ = as_json(local.import_(feed, {"prefer": "respond-async"}), 202)["id"]
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE message SET state = 'dead', finished_at = now(), last_error = 'no', "
                "tries = 10, run_id = 'r' WHERE part = 1"
            )
        )
    assert as_json(local.get(f"/messages/{id_}"), 200)["state"] == "claimed"
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE message SET state = 'done', finished_at = now() WHERE part <> 1")
        )
    message = as_json(local.get(f"/messages/{id_ + 2}"), 200)
    assert (message["id"], message["state"], message["last_error"]) == (id_, "dead", "no")
    assert (message["tries"], message["run_id"], message["parts"]) == (10, "r", 3)
