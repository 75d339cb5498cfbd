"""Requests of every kind that the description allows, and some that it does not: never a 5xx."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from commerce_pipelines_tests.endpoint.buying import Buying
from commerce_pipelines_tests.endpoint.running import as_json

# No run works here, so nobody waits for one.
HEADERS = {"Prefer": "respond-async"}


@pytest.mark.parametrize(
    "examples",
    [5, pytest.param(1000, marks=pytest.mark.whole)],
    ids=["some", "whole"],
)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.timeout(7200)
def test_no_request_makes_the_endpoint_fail(
    buying: Buying, examples: int, mode: GenerationMode
) -> None:
    variant, customer = buying.sell("mug"), buying.company("Acme")
    cart = buying.ready_cart()
    buying.added(cart, variant)
    known = {"cart_id": cart, "variant_id": variant, "customer_id": customer}
    document = as_json(buying.endpoint.get("/openapi.json"), 200)
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @given(operation.as_strategy(generation_mode=mode), st.booleans())
        @settings(max_examples=examples)
        def ask(case: Any, is_known: bool) -> None:
            nonlocal asked
            if is_known:
                for name in known.keys() & case.path_parameters.keys():
                    case.path_parameters[name] = known[name]
            answer = case.call(base_url=buying.endpoint.url, headers=HEADERS, timeout=60)
            asked += 1
            assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text}"

        # What takes nothing at all cannot be asked wrongly.
        with suppress(Unsatisfiable):
            ask()
    assert asked >= examples * 20 // 2
