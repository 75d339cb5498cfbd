"""`status`: what waits too long, of every flow, in the words of the asset checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.flows import health
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines_tests.cli.conftest import Commands

# What is a message about, and the asset whose check tells that it waits.
ASSETS = {
    "products": "store/products",
    "documents": "store/products",
    "product_updates": "store/products",
    "brands": "store/brands",
    "price_book": "store/price_book",
    "orders": "store/orders",
    "order_updates": "store/orders",
}
SENSORS = {
    "products": "pim_messages",
    "documents": "pim_messages",
    "product_updates": "product_update_messages",
    "brands": "brand_messages",
    "price_book": "price_book",
    "orders": "order_messages",
    "order_updates": "order_update_messages",
}


@pytest.fixture
def everywhere(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The settings of a stack that has every other system."""
    known = {
        **settings,
        **{"BRANDS_URL": "http://127.0.0.1:1", "BRANDS_API_KEY": "key"},
        **{"ERP_URL": "http://127.0.0.1:1", "ERP_API_KEY": "key"},
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    return known


def wait_long(engine: Engine, *topics: str) -> None:
    """Leaves a message about each for eleven minutes."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO message (source, webhook_id, topic, body, body_sha256, received_at)
                SELECT 'store', topic, topic, '[]', '', now() - interval '11 minutes'
                FROM unnest(CAST(:topics AS text[])) AS topic"""),
            {"topics": list(topics)},
        )


def let_prices_age(engine: Engine) -> None:
    """Lets the ERP's word on a variant be older than a cart trusts."""
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO asked_variant VALUES ('v', now() - interval '16 minutes', '{}')")
        )


def told_by_check(asset: str, name: str) -> str | None:
    """Returns what an asset's check says; None if it passes."""
    (check,) = (
        each
        for each in health.CHECKS
        if (each.key.asset_key.to_user_string(), each.key.name) == (asset, name)
    )
    with dg.build_resources({"store": StoreResource()}) as resources:
        found = health.evaluate(resources.store, check)
    return None if found.passed else found.description


def texts(concerns: list[dict[str, Any]]) -> list[str]:
    return [each["text"] for each in concerns]


@pytest.mark.parametrize("topic", ASSETS)
def test_what_waits_too_long_is_told_in_the_words_of_its_asset_check(
    engine: Engine, everywhere: Mapping[str, str], topic: str
) -> None:
    wait_long(engine, topic)
    run = Commands(everywhere)

    (told,) = run("status", "--json").json()["backlog"]

    assert told["text"] == told_by_check(ASSETS[topic], "inbox_is_drained")
    assert SENSORS[topic] in told["advice"]
    assert told["text"] in run("status").stdout


def test_each_backlog_is_told_once_and_all_have_the_same_shape(
    engine: Engine, everywhere: Mapping[str, str]
) -> None:
    wait_long(engine, *ASSETS)

    told = Commands(everywhere)("status", "--json").json()["backlog"]

    checks = {told_by_check(asset, "inbox_is_drained") for asset in ASSETS.values()}
    assert sorted(texts(told)) == sorted(filter(None, checks))
    assert len({frozenset(each) for each in told}) == 1


def test_what_rests_without_its_system_is_no_backlog(
    engine: Engine, settings: dict[str, str]
) -> None:
    wait_long(engine, "brands", "price_book", "orders", "order_updates")
    let_prices_age(engine)

    found = Commands(settings)("status", "--json").json()

    assert found["backlog"] == found["stale"] == []


def test_a_price_book_that_carts_do_not_trust_is_told_in_the_words_of_its_asset_check(
    engine: Engine, everywhere: Mapping[str, str]
) -> None:
    let_prices_age(engine)

    (told,) = Commands(everywhere)("status", "--json").json()["stale"]

    assert told["text"] == told_by_check("store/price_book", "is_fresh")
    assert told["text"] in Commands(everywhere)("status").stdout


@pytest.mark.parametrize("topic", ASSETS)
def test_what_is_refused_is_told_in_the_words_of_its_asset_check(
    engine: Engine, everywhere: Mapping[str, str], topic: str
) -> None:
    wait_long(engine, topic)
    with engine.begin() as connection:
        connection.execute(
            text("""UPDATE message SET state = 'claimed', tries = 1, received_at = now(),
                        last_error = 'the name is taken', refusal = 'Conflict'""")
        )

    (told,) = Commands(everywhere)("status", "--json").json()["refused"]
    said = Commands(everywhere)("status").stdout

    assert "the name is taken" in told["problem"]
    assert said.startswith("1 thing waits for a person.")
    assert told["text"] in said
    for asset in set(ASSETS.values()):
        expected = told["text"] if asset == ASSETS[topic] else None
        assert told_by_check(asset, "no_refused_messages") == expected


def test_of_many_that_are_refused_some_are_told_and_the_others_counted(
    engine: Engine, settings: dict[str, str]
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""INSERT INTO message (source, webhook_id, topic, body_sha256, state, refusal)
                    SELECT 'pim', n, 'products', '', 'claimed', 'Unauthorised'
                    FROM generate_series(1, 25) AS n""")
        )

    said = Commands(settings)("status").stdout

    assert said.startswith("25 things wait for a person.")
    assert "… and 5 more refused messages: commerce-pipelines messages list --state claimed" in said
