from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from commerce_pipelines.domain.price_book import Company, PriceTier
from commerce_pipelines.errors import Busy, ConfigurationError, Fenced, Unavailable
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import Page, PriceBookRefresh
from commerce_pipelines.services.price_changes import deliver
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.erp_prices import (
    PricedErp,
    change,
    customer,
    everybody,
    rows,
    sold,
    sold_many,
)

PRICES = (
    "SELECT variant_id, currency_code, customer_group, amounts FROM price_book ORDER BY 1, 2, 3"
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


def announce(engine: Engine, webhook_id: str, *external_ids: str, whole: bool = False) -> None:
    with engine.begin() as connection:
        deliver(connection, "erp", webhook_id, None if whole else external_ids)


def age(engine: Engine, seconds: int = 400) -> None:
    change(engine, f"UPDATE asked_variant SET asked_at = asked_at - interval '{seconds} s'")


def compensate_all(ledger: Ledger) -> None:
    for saga_id in ledger.due():
        Compensator(ledger, {}).compensate(saga_id, "sweep")


def test_what_the_erp_says_of_all_its_variants_is_in_the_price_book(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    erp.price("Ea", "9.99")
    erp.stock("Ea", 5)
    erp.stock("Eb", -2, beyond=True)

    (page,) = refresh()

    assert (page.variants, page.faults) == (2, ())
    assert rows(engine, PRICES) == [
        ("v-a", "EUR", "", [Decimal("9.9900")]),
        ("v-b", "EUR", "", []),
    ]
    found = (
        "SELECT variant_id, available, allows_out_of_stock, reserved FROM stock_level ORDER BY 1"
    )
    assert rows(engine, found) == [("v-a", 5, False, 0), ("v-b", -2, True, 0)]
    assert rows(engine, "SELECT kind, status FROM saga") == [("price_book_refresh", "succeeded")]


def test_tiers_are_kept_in_their_order(engine: Engine, erp: PricedErp, refresh: Refresh) -> None:
    sold(engine, "a")
    erp.prices[everybody("Ea")] = (PriceTier(1, Decimal("9.9999")), PriceTier(10, Decimal(8)))

    refresh()

    found = rows(engine, "SELECT min_quantities, amounts FROM price_book")
    assert found == [([1, 10], [Decimal("9.9999"), Decimal("8.0000")])]


def test_prices_are_asked_in_the_currencies_of_the_store_and_for_the_groups_of_its_customers(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    sold(engine, "b", currency="JPY")
    customer(engine, "Acme")
    customer(engine, "Unknown")
    erp.companies["Acme"] = Company("Acme", "dealers")
    erp.price("Ea", "7", group="dealers")

    refresh()

    assert len(rows(engine, PRICES)) == 2 * 2 * 2
    assert ("v-a", "EUR", "dealers", [Decimal("7.0000")]) in rows(engine, PRICES)
    found = rows(engine, "SELECT name_key, name, customer_group FROM company ORDER BY 1")
    assert found == [("acme", "Acme", "dealers"), ("unknown", "Unknown", "")]


def test_the_settings_may_name_the_currencies(engine: Engine, flow: PriceBookRefresh) -> None:
    sold(engine, "a")

    list(replace(flow, currency_codes="chf KWD chf").pages())

    assert [row[1] for row in rows(engine, PRICES)] == ["CHF", "KWD"]
    with pytest.raises(ConfigurationError, match="PRICE_BOOK_CURRENCIES: 'XXY' is not a currency"):
        list(replace(flow, currency_codes="XXY").pages())


def test_who_may_not_buy_what_is_known_of_every_company_that_was_asked_about(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    customer(engine, "Acme")
    customer(engine, "Zenith")
    erp.forbidden = {("Acme", "Eb")}

    refresh()

    found = rows(
        engine, "SELECT company_key, variant_id, is_allowed FROM purchase_rule ORDER BY 1, 2"
    )
    assert found == [
        ("acme", "v-a", True),
        ("acme", "v-b", False),
        ("zenith", "v-a", True),
        ("zenith", "v-b", True),
    ]


def test_only_the_companies_last_active_are_asked_about(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    for days in range(25):
        customer(engine, f"Company {days:02}", days_ago=days)

    refresh()

    found = rows(engine, "SELECT max(company_key), count(*) FROM purchase_rule")
    assert found == [("company 19", 20)]


@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ([(1, "-1")], "the price is negative"),
        ([(1, "1.00001")], "the price has more than 4 decimals"),
        ([(1, "NaN")], "the price is not a number"),
        ([(10, "1")], "the price has no tier from one unit on"),
        ([], "the price has no tier from one unit on"),
        ([(1, "1"), (1, "2")], "the quantities of the price's tiers do not rise"),
    ],
)
def test_a_price_that_cannot_be_one_keeps_the_old_one_with_its_age(
    engine: Engine, erp: PricedErp, refresh: Refresh, tiers: list[tuple[int, str]], reason: str
) -> None:
    sold(engine, "a", "b")
    erp.price("Ea", "9.99")
    erp.price("Eb", "1")
    refresh()
    age(engine)
    before = rows(engine, "SELECT * FROM price_book WHERE variant_id = 'v-a'")
    erp.prices[everybody("Ea")] = tuple(PriceTier(q, Decimal(amount)) for q, amount in tiers)
    erp.price("Eb", "2")

    (page,) = refresh()

    told = f"price in EUR: {reason}"
    assert {variant_id: reasons[0] for variant_id, reasons in page.faults}["v-a"] == told
    assert rows(engine, "SELECT * FROM price_book WHERE variant_id = 'v-a'") == before
    assert rows(engine, PRICES)[1][3] == [Decimal("2.0000")]
    found = rows(engine, "SELECT faults[1] FROM asked_variant WHERE variant_id = 'v-a'")
    assert found == [(told,)]


def test_what_the_adapter_could_not_read_is_told_and_heals_with_the_next_answer(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    erp.stock("Ea", 1)
    erp.unreadable["Ea"] = "its amount is a word"
    (page,) = refresh()
    assert page.faults == (("v-a", ["price in EUR: its amount is a word"]),)
    erp.unreadable.clear()
    age(engine)

    (page,) = refresh()

    assert page.faults == ()
    assert rows(engine, "SELECT faults FROM asked_variant") == [([],)]


def test_what_was_asked_lately_is_not_asked_again(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a", "b")
    erp.unreadable["Ea"] = "its amount is a word"
    refresh()
    sold(engine, "c")

    (page,) = refresh()

    assert page.variants == 1
    assert refresh() == []
    age(engine)
    assert [page.variants for page in refresh()] == [3]


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


def test_a_refresh_that_takes_long_ends_and_the_next_goes_on(
    engine: Engine, flow: PriceBookRefresh, refresh: Refresh
) -> None:
    sold(engine, "a")

    assert list(replace(flow, most_seconds=0.0).pages()) == []

    assert [page.variants for page in refresh()] == [1]


def test_rows_of_what_is_gone_are_deleted_after_a_day(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a", "b", "c")
    customer(engine, "Acme")
    for variant in ("Ea", "Eb", "Ec"):
        erp.stock(variant, 1)
    refresh()
    change(engine, "DELETE FROM external_id WHERE internal_id <> 'v-a'")
    refresh()
    assert rows(engine, "SELECT variant_id FROM asked_variant") == [("v-a",)]
    assert len(rows(engine, PRICES)) == 3
    for table in ("price_book", "stock_level", "purchase_rule"):
        old = "fetched_at = now() - interval '25 hours'"
        change(engine, f"UPDATE {table} SET {old} WHERE variant_id <> 'v-a'")
    change(engine, "UPDATE stock_level SET reserved = 1 WHERE variant_id = 'v-c'")

    refresh()

    assert [row[0] for row in rows(engine, PRICES)] == ["v-a"]
    assert rows(engine, "SELECT variant_id FROM purchase_rule") == [("v-a",)]
    # Orders still hold a piece of it.
    assert rows(engine, "SELECT variant_id FROM stock_level ORDER BY 1") == [("v-a",), ("v-c",)]


def test_without_a_currency_stock_is_fetched_and_no_price(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    change(engine, "DELETE FROM price")
    erp.stock("Ea", 1)

    refresh()

    assert rows(engine, "SELECT (SELECT count(*) FROM price_book), count(*) FROM stock_level") == [
        (0, 1)
    ]


def test_an_erp_whose_clock_goes_back_is_not_ignored_for_ever(
    engine: Engine, erp: PricedErp, refresh: Refresh
) -> None:
    sold(engine, "a")
    erp.price("Ea", "1")
    erp.clock = erp.now + timedelta(days=400)
    refresh()

    found = rows(engine, "SELECT as_of < now() + interval '61 minutes' FROM price_book")

    assert found == [(True,)]


def test_the_message_says_all_where_variants_is_null(engine: Engine, refresh: Refresh) -> None:
    sold(engine, "a")
    refresh()
    announce(engine, "w1", "Ea")
    body = json.dumps({"type": "price_book.changed", "variants": None}).encode()
    change(engine, "UPDATE message SET body = :body", body=body)

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
