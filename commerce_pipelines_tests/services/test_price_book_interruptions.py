"""A refresh whose ERP is away, that dies, takes long or meets another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from commerce_pipelines.errors import Busy, Fenced, Unavailable
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import Page, PriceBookRefresh
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.erp_prices import (
    PricedErp,
    announce,
    change,
    rows,
    sold,
    sold_many,
)

AWAY = Unavailable("The ERP is away.")

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


def compensate_all(ledger: Ledger) -> None:
    for saga_id in ledger.due():
        Compensator(ledger, {}).compensate(saga_id, "sweep")


def test_messages_come_again_when_the_erp_is_away(
    engine: Engine, ledger: Ledger, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    refresh()
    announce(engine, "w1", "Ea")
    erp.script("fetch_stock", failing(AWAY))

    with pytest.raises(Unavailable):
        refresh()

    found = rows(engine, "SELECT state, tries, last_error FROM message")
    assert found == [("claimed", 1, "The ERP is away.")]
    compensate_all(ledger)
    change(engine, "UPDATE message SET next_try_at = now()")
    assert [page.variants for page in refresh()] == [1]
    assert rows(engine, "SELECT state FROM message") == [("done",)]


def test_pages_before_the_erp_dies_stay_and_the_rest_comes_next_time(
    engine: Engine, erp: PricedErp, ledger: Ledger, flow: PriceBookRefresh, refresh: Refresh
) -> None:
    sold_many(engine, 50)
    for number in range(1, 51):
        erp.price(f"E{number}", "1")
        erp.stock(f"E{number}", 1)
    # Two pages, and in the third the stock fails after the prices came; then it is away.
    erp.script("fetch_stock", int, int, *[failing(AWAY)] * 3)

    with pytest.raises(Unavailable, match="away"):
        list(replace(flow, page_size=10).pages())

    both = """SELECT (SELECT count(*) FROM price_book), (SELECT count(*) FROM stock_level),
                     (SELECT count(*) FROM price_book JOIN stock_level USING (variant_id))"""
    assert rows(engine, both) == [(20, 20, 20)]
    compensate_all(ledger)
    assert sum(page.variants for page in refresh()) == 30
    assert rows(engine, both) == [(50, 50, 50)]


def test_a_page_that_fails_does_not_keep_the_others_waiting(
    engine: Engine, erp: PricedErp, flow: PriceBookRefresh
) -> None:
    sold_many(engine, 50)
    erp.script("fetch_prices", failing(AWAY), int, failing(AWAY))
    seen = []

    with pytest.raises(Unavailable):
        for page in replace(flow, page_size=10).pages():
            seen.append(page.error is None)

    assert seen == [False, True, False, True, True]
    assert rows(engine, "SELECT count(*) FROM price_book") == [(30,)]


def test_an_erp_that_is_away_is_not_asked_for_every_page(
    engine: Engine, erp: PricedErp, flow: PriceBookRefresh
) -> None:
    sold_many(engine, 20)
    erp.script("fetch_prices", *[failing(AWAY)] * 20)

    with pytest.raises(Unavailable):
        list(replace(flow, page_size=1).pages())

    assert erp.asked.count("fetch_prices") == 3


def test_a_second_refresh_leaves_it_to_the_first(
    engine: Engine, flow: PriceBookRefresh, refresh: Refresh
) -> None:
    sold(engine, "a")
    first = flow.pages()
    next(first)

    with pytest.raises(Busy):
        refresh()

    assert list(first) == []


def test_a_refresh_that_takes_long_ends_and_the_next_goes_on(
    engine: Engine, flow: PriceBookRefresh, refresh: Refresh
) -> None:
    sold(engine, "a")

    assert list(replace(flow, most_seconds=0.0).pages()) == []

    assert [page.variants for page in refresh()] == [1]


def test_a_refresh_that_was_taken_for_dead_writes_nothing_more(
    engine: Engine, ledger: Ledger, erp: PricedErp, flow: PriceBookRefresh, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    announce(engine, "w1", "Ea")
    frozen = replace(flow, page_size=1).pages()
    next(frozen)
    change(engine, "UPDATE saga SET lease_until = now() - interval '1 s'")
    compensate_all(ledger)
    assert sum(page.variants for page in refresh()) == 1
    before = rows(engine, "SELECT * FROM price_book ORDER BY variant_id")
    erp.price("Ea", "1")

    with pytest.raises(Fenced):
        next(frozen)

    assert rows(engine, "SELECT * FROM price_book ORDER BY variant_id") == before
    assert rows(engine, "SELECT state FROM message") == [("done",)]
