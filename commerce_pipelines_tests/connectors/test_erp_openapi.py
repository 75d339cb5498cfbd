"""The adapter `rest` asks for what the reference contract's document describes, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.connectors.erp_records import an_order, changed_details, new_product
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld

Exchange = tuple[str, str, Mapping[str, str], Mapping[str, str], Any, Answer]


class Recording(HttpSession):
    """A session that notes what it sends and what comes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.exchanges: list[Exchange] = []

    def send(self, method: str, path: str, **options: Any) -> Answer:
        """Sends and notes."""
        answer = super().send(method, path, **options)
        body = options.get("body")
        self.exchanges.append(
            (
                method,
                path,
                options.get("params") or {},
                options.get("headers") or {},
                None if body is None else json.loads(body),
                answer,
            )
        )
        return answer


@pytest.fixture
def document(sandbox: RunningSandbox) -> Any:
    """The contract."""
    return requests.get(sandbox.addresses["erp"]["url"] + "/openapi.json", timeout=30).json()


@pytest.fixture
def exchanges(sandbox: RunningSandbox) -> list[Exchange]:
    """Every operation of the port, once."""
    erp = sandbox.addresses["erp"]
    headers = {"Authorization": f"Bearer {erp['api_key']}"}
    with Recording(erp["url"], secret_headers=headers) as session:
        _use(SandboxWorld(sandbox.addresses, RestErp(session, UnlimitedBudget())))
    return session.exchanges


def _use(world: SandboxWorld) -> None:
    erp, now = world.erp, datetime.now(UTC)
    product = new_product(world)
    variant = product.details.variants[0].external_id or ""
    erp.write_product(product.external_id, changed_details(product), product, uuid4().hex)
    order = erp.create_order(an_order(variant))
    erp.find_order(str(order.reference))
    erp.confirm_order(order.external_id)
    erp.cancel_order(order.external_id)
    list(erp.fetch_products(now))
    list(erp.fetch_changed_orders(now))
    list(erp.fetch_orders(now - timedelta(days=1), now))
    erp.fetch_prices([variant], "EUR", "partner")
    erp.fetch_stock([variant])
    erp.fetch_purchase_rules(["ACME"], [variant])
    erp.fetch_companies(["ACME"])


def test_every_request_is_described(document: Any, exchanges: list[Exchange]) -> None:
    used = set()
    for method, path, params, headers, body, _ in exchanges:
        template, operation = _operation(document, method, path)
        used.add((method, template))
        described = {(each["in"], each["name"].lower()) for each in operation.get("parameters", [])}
        assert {("query", name.lower()) for name in params} <= described
        assert {("header", name.lower()) for name in headers} <= described
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert _faults(document, schema, body) == []
    everything = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    # One order by its id: the port has no need of it, a person has.
    assert everything - used == {("GET", "/erp/orders/{order_id}")}


def test_every_answer_is_described(document: Any, exchanges: list[Exchange]) -> None:
    for method, path, _, _, _, answer in exchanges:
        _, operation = _operation(document, method, path)
        content = operation["responses"][str(answer.status)]["content"]
        assert _faults(document, content["application/json"]["schema"], answer.body) == []


def test_both_ways_of_giving_the_key_are_described(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["Bearer"]["scheme"] == "bearer"
    assert schemes["ApiKey"]["name"] == "X-Api-Key"
    for item in document["paths"].values():
        for operation in item.values():
            assert {"Bearer": []} in operation["security"]
            assert {"ApiKey": []} in operation["security"]


def test_a_body_that_is_not_described_is_found(document: Any) -> None:
    schema = {"$ref": "#/components/schemas/PriceQuery"}
    asked = {"variants": ["v"], "currency_code": "EUR", "customer_group": ""}

    assert _faults(document, schema, asked) == []
    assert _faults(document, schema, {**asked, "more": 1}) != []
    assert _faults(document, schema, {**asked, "currency_code": "euro"}) != []
    assert _faults(document, schema, {"variants": ["v"]}) != []


def _operation(document: Any, method: str, path: str) -> tuple[str, Any]:
    for template, item in document["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if re.fullmatch(pattern, "/erp" + path) and method.lower() in item:
            return template, item[method.lower()]
    pytest.fail(f"{method} {path} is not described")


def _faults(document: Any, schema: Any, value: Any) -> list[str]:
    """Returns what of a value is not as a schema says; of JSON Schema what is used there."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _faults(document, document["components"]["schemas"][name], value)
    if "anyOf" in schema:
        tried = [_faults(document, each, value) for each in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    kinds = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
    wanted = kinds.get(schema.get("type"))
    if schema.get("type") == "null":
        return [] if value is None else ["not null"]
    if wanted is not None and not isinstance(value, wanted):
        return [f"{value!r} is no {schema['type']}"]
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return [f"{value!r} does not match"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r} is none of {schema['enum']}"]
    if isinstance(value, list):
        return [fault for each in value for fault in _faults(document, schema["items"], each)]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        faults = [f"{name} is missing" for name in schema.get("required", []) if name not in value]
        faults += [f"{name} is unknown" for name in value if name not in known]
        for name in value.keys() & known.keys():
            faults += _faults(document, known[name], value[name])
        return faults
    return []
