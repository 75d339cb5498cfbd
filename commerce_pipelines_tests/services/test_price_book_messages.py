"""The ERP's messages about prices: what is fetched for them, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import Page, PriceBookRefresh
from commerce_pipelines_tests.services.erp_prices import (
    PRICES,
    PricedErp,
    announce,
    change,
    rows,
    sold,
)

Refresh = Callable[[], list[Page]]


@pytest.fixture
def erp() -> PricedErp:
    return PricedErp()


@pytest.fixture
def flow(ledger: Ledger, erp: PricedErp) -> PriceBookRefresh:
    return PriceBookRefresh(ledger, erp, "run-1", refresh_seconds=300.0)


@pytest.fixture
def refresh(flow: PriceBookRefresh) -> Refresh:
    return lambda: list(flow.pages())


def test_a_message_has_the_named_variants_fetched_and_is_done_with_them(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    refresh()
    erp.price("Ea", "3")
    erp.unreadable["Eb"] = "its amount is a word"
    announce(engine, "w1", "Ea", "Eb", "nowhere")

    (page,) = refresh()

    assert page.variants == 2
    ((state, outcome),) = rows(engine, "SELECT state, outcome FROM message")
    assert state == "done"
    assert outcome["variants"] == 3
    fault = {"position": 1, "field": "Eb", "reason": "price in EUR: its amount is a word"}
    assert fault in [
        each | {"reason": each["reason"].split(";")[0]} for each in outcome["rejected"]
    ]
    assert rows(engine, PRICES)[0][3] == [Decimal("3.0000")]


def test_a_message_without_variants_has_all_of_them_fetched(
    engine: Engine, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    refresh()
    announce(engine, "w1", whole=True)

    (page,) = refresh()

    assert page.variants == 2
    assert rows(engine, "SELECT state FROM message") == [("done",)]
    assert refresh() == []


def test_messages_about_the_same_variant_are_one_question(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    refresh()
    erp.sizes.clear()
    for number in range(5):
        announce(engine, f"w{number}", "Ea")

    refresh()

    assert erp.sizes == [1]
    assert rows(engine, "SELECT DISTINCT state FROM message") == [("done",)]


def test_a_variant_that_the_erp_knows_by_two_ids_is_asked_about_once(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    change(engine, "INSERT INTO external_id VALUES ('erp', 'variant', 'E2', 'v-a')")
    announce(engine, "w1", "E2", "Ea")

    assert [page.variants for page in refresh()] == [1]


def test_a_message_that_cannot_be_read_is_dead_and_stops_nobody(
    engine: Engine, refresh: Refresh
) -> None:
    sold(engine, "a")
    refresh()
    announce(engine, "w1", "Ea")
    announce(engine, "w2", "Ea")
    change(engine, "UPDATE message SET body = '[]' WHERE webhook_id = 'w1'")

    refresh()

    assert rows(engine, "SELECT state FROM message ORDER BY id") == [("dead",), ("done",)]


def test_messages_that_come_during_a_refresh_are_taken_by_it(
    engine: Engine, erp: PricedErp, flow: PriceBookRefresh
) -> None:
    sold(engine, "a", "b")
    pages = flow.pages()
    next(pages)
    erp.price("Ea", "3")
    announce(engine, "w1", "Ea")

    assert [page.variants for page in pages] == [1]
    assert rows(engine, PRICES)[0][3] == [Decimal("3.0000")]


def test_the_message_says_all_where_variants_is_null(engine: Engine, refresh: Refresh) -> None:
    sold(engine, "a")
    refresh()
    announce(engine, "w1", "Ea")
    body = json.dumps({"type": "price_book.changed", "variants": None}).encode()
    change(engine, "UPDATE message SET body = :body", body=body)

    assert [page.variants for page in refresh()] == [1]
