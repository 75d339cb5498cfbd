"""Buying from the sandbox's ERP, over HTTP on both sides, as `up` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, text

from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.endpoint.buying import ADDRESSES
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, problem, settings

TIERED, FORBIDDEN, SOLD_OUT = "HEA-1009-WHI", "SEN-1024-16", "PIN-1006-WID"


@pytest.fixture
def shop(postgres_url: str, engine: Engine, sandbox: RunningSandbox) -> Iterator[Endpoint]:
    """An endpoint that knows the ERP from its settings, and three of its variants."""
    erp = sandbox.addresses["erp"]
    variants = as_json(
        requests.get(
            f"{erp['url']}/products",
            params={"limit": 500},
            headers={"Authorization": f"Bearer {erp['api_key']}"},
            timeout=30,
        ),
        200,
    )
    ids = {v["sku"]: v["id"] for product in variants["products"] for v in product["variants"]}
    with engine.begin() as connection:
        for sku in (TIERED, FORBIDDEN, SOLD_OUT):
            for statement in _KNOWN:
                connection.execute(text(statement), {"sku": sku, "erp_id": ids[sku]})
    rules = settings(
        postgres_url,
        endpoint_unsigned_loopback=True,
        erp_url=erp["url"],
        erp_api_key=erp["api_key"],
        pricing_budget_seconds=5.0,
    )
    with Endpoint(rules) as running:
        yield running


def cart(shop: Endpoint, company: str | None = None) -> str:
    body: dict[str, Any] = {"currency_code": "EUR", "email": "anna@example.com", **ADDRESSES}
    if company is not None:
        wanted = {"email": "anna@example.com", "company_name": company}
        body["customer_id"] = as_json(shop.post("/store/customers", json=wanted), 201)["id"]
    return str(as_json(shop.post("/store/carts", json=body), 201)["id"])


def add(shop: Endpoint, cart_id: str, sku: str, quantity: int = 1) -> requests.Response:
    body = {"variant_id": sku, "quantity": quantity}
    return shop.post(f"/store/carts/{cart_id}/custom-line-items", json=body)


def test_its_prices_rules_and_stock_count(shop: Endpoint, sandbox: RunningSandbox) -> None:
    cart_id = cart(shop)
    bought = as_json(add(shop, cart_id, TIERED, 10), 200)["cart"]
    assert (bought["lines"][0]["unit_price"], bought["total_minor"]) == ("8.9125", 8912)
    assert problem(add(shop, cart_id, SOLD_OUT), 409)["code"] == "out_of_stock"
    forbidden = problem(add(shop, cart(shop, "globex"), FORBIDDEN), 403)
    assert forbidden["code"] == "company_may_not_buy"

    faults = sandbox.addresses["faults"]["url"]
    fault = {"kind": "unavailable_before", "system": "erp", "times": None}
    requests.post(faults, json=fault, timeout=30).raise_for_status()
    problem(shop.post(f"/store/carts/{cart_id}/complete"), 503)
    requests.delete(faults, timeout=30).raise_for_status()

    assert as_json(shop.post(f"/store/carts/{cart_id}/complete"), 201)["total_minor"] == 8912


_KNOWN = (
    "INSERT INTO product (id, title, handle) VALUES (:sku, :sku, lower(:sku))",
    """INSERT INTO variant (id, product_id, position, title, sku)
       VALUES (:sku, :sku, 0, '', :sku)""",
    """INSERT INTO external_id (system, entity, external_id, internal_id)
       VALUES ('erp', 'variant', :erp_id, :sku)""",
)
