"""Customers over HTTP."""

from __future__ import annotations

from commerce_pipelines_tests.endpoint.buying import Buying
from commerce_pipelines_tests.endpoint.running import as_json, problem


def test_a_customer_is_shown_as_created(buying: Buying) -> None:
    body = {"email": "anna@example.com", "company_name": "Acme Ltd"}
    answer = buying.endpoint.post("/store/customers", json=body)
    customer = as_json(answer, 201)

    assert {name: customer[name] for name in body} == body
    assert as_json(buying.endpoint.get(answer.headers["Location"]), 200) == customer
    problem(buying.endpoint.get("/store/customers/cus_none"), 404)
    problem(buying.endpoint.post("/store/customers", json={"company_name": "Acme"}), 422)
