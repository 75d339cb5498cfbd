from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines_tests.endpoint.running import Endpoint, as_json


@pytest.fixture
def document(local: Endpoint) -> Any:
    return as_json(local.get("/openapi.json"), 200)


def test_every_route_is_described(document: Any) -> None:
    assert {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    } == {
        "GET /healthz",
        "GET /readyz",
        "POST /products",
        "POST /webhooks/{source}",
        "POST /webhooks/erp",
        "POST /erp/order-updates",
        "GET /messages/{message_id}",
        "GET /store/products",
        "GET /store/products/{product_id}",
        "POST /store/products/{product_id}/erp",
        "GET /store/orders/{order_id}",
        "POST /store/brands",
        "GET /store/brands",
        "GET /store/brands/{brand_id}",
        "PATCH /store/brands/{brand_id}",
        "GET /store/variants/{variant_id}/price",
        "POST /store/customers",
        "GET /store/customers/{customer_id}",
        "POST /store/carts",
        "GET /store/carts/{cart_id}",
        "PATCH /store/carts/{cart_id}",
        "POST /store/carts/{cart_id}/custom-line-items",
        "POST /store/cart/{cart_id}/custom-line-items",
        "PATCH /store/carts/{cart_id}/line-items/{line_id}",
        "DELETE /store/carts/{cart_id}/line-items/{line_id}",
        "POST /store/carts/{cart_id}/complete",
    }


def test_every_reference_leads_somewhere(document: Any) -> None:
    for reference in references(document):
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for each in node for found in references(each)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return here + [found for each in node.values() for found in references(each)]


def test_every_error_is_described_as_a_problem(document: Any) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]


@pytest.mark.usefixtures("worker")
def test_the_example_works_as_it_stands(local: Endpoint, document: Any) -> None:
    (example,) = document["components"]["schemas"]["ProductList"]["examples"]
    answer = local.import_(example)
    assert [product["title"] for product in as_json(answer, 201)] == [
        product["title"] for product in example
    ]
    assert "Rejected-Count" not in answer.headers


def test_the_examples_of_brands_work_as_they_stand(local: Endpoint, document: Any) -> None:
    created = ""
    for path, item in document["paths"].items():
        for method in ("post", "patch"):
            if path.startswith("/store/brands") and method in item:
                body = item[method]["requestBody"]["content"]["application/json"]
                for example in body["examples"].values():
                    place = path.replace("{brand_id}", created)
                    answer = local.ask(method.upper(), place, json=example["value"])
                    assert answer.status_code in {200, 201}, answer.text
                    created = answer.json()["id"]
    assert created


def test_a_product_may_name_its_brand_or_say_its_id(document: Any) -> None:
    brand = document["components"]["schemas"]["Product"]["properties"]["brand"]
    assert [each.get("type", each.get("$ref")) for each in brand["anyOf"]] == [
        "string",
        "#/components/schemas/BrandReference",
        "null",
    ]


def test_the_pages_of_the_description_are_there(local: Endpoint) -> None:
    assert "openapi.json" in local.get("/docs").text
