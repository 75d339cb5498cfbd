"""The ERP's change messages at the door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines_tests.endpoint.running import (
    OTHER_SECRET,
    SECRET,
    Endpoint,
    as_json,
    bodies,
    problem,
    settings,
    signed,
)

BODY = b'{"type": "price_book.changed", "variants": ["1", "2"]}'


@pytest.fixture
def erp_endpoint(postgres_url: str) -> Iterator[Endpoint]:
    """An endpoint that knows the PIM by one secret and the ERP by another."""
    with Endpoint(settings(postgres_url, erp_webhook_secret=OTHER_SECRET)) as running:
        yield running


def deliver(endpoint: Endpoint, body: bytes, **how: Any) -> Any:
    headers = signed(body, **{"secret": OTHER_SECRET, **how})
    return endpoint.deliver(body, headers, source="erp")


def test_a_change_message_is_stored_and_acknowledged(
    erp_endpoint: Endpoint, engine: Engine
) -> None:
    accepted = as_json(deliver(erp_endpoint, BODY), 202)

    assert as_json(deliver(erp_endpoint, BODY), 202) == accepted
    message = as_json(erp_endpoint.get(accepted["location"]), 200)
    assert (message["source"], message["topic"], message["item_count"]) == ("erp", "price_book", 2)
    assert bodies(engine) == [BODY]


def test_without_variants_all_have_changed(erp_endpoint: Endpoint, engine: Engine) -> None:
    as_json(deliver(erp_endpoint, b'{"type": "price_book.changed"}'), 202)

    with engine.connect() as connection:
        found = connection.execute(text("SELECT topic, item_count FROM message")).one()
    assert tuple(found) == ("price_book", 1)


def test_the_secret_of_one_system_does_not_open_the_door_of_another(
    erp_endpoint: Endpoint, engine: Engine
) -> None:
    problem(deliver(erp_endpoint, BODY, secret=SECRET), 401)
    products = b'[{"title": "Mug"}]'
    problem(erp_endpoint.deliver(products, signed(products, secret=OTHER_SECRET)), 401)
    assert bodies(engine) == []


def test_without_a_secret_nothing_is_taken(endpoint: Endpoint, engine: Engine) -> None:
    problem(deliver(endpoint, BODY, secret=SECRET), 401)
    assert bodies(engine) == []


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"{}",
        b'{"type": "order.changed"}',
        b'{"type": "price_book.changed", "variants": "1"}',
        b'{"type": "price_book.changed", "variants": [1]}',
        b'{"type": "price_book.changed", "variants": [""]}',
        b'{"type": "price_book.changed", "variants": ["a\\u0000"]}',
        b'{"type": "price_book.changed", "variants": ["\\ud800"]}',
        b'{"type": "price_book.changed", "variants": {"1": 2}}',
        json.dumps({"type": "price_book.changed", "variants": ["x" * 256]}).encode(),
        b'{"type": "price_book.changed", "type": "other"}',
        b"{",
    ],
)
def test_what_is_no_change_message_is_refused_and_not_stored(
    erp_endpoint: Endpoint, engine: Engine, body: bytes
) -> None:
    problem(deliver(erp_endpoint, body), 400)
    assert bodies(engine) == []


def test_a_body_changed_on_its_way_is_refused(erp_endpoint: Endpoint, engine: Engine) -> None:
    headers = signed(BODY, secret=OTHER_SECRET)
    problem(erp_endpoint.deliver(BODY.replace(b"1", b"7"), headers, source="erp"), 401)
    assert bodies(engine) == []


def test_a_bad_secret_is_named_by_its_setting(postgres_url: str) -> None:
    rules = settings(postgres_url, erp_webhook_secret="whsec_short")
    with pytest.raises(ConfigurationError, match="ERP_WEBHOOK_SECRET must be"), Endpoint(rules):
        pass
