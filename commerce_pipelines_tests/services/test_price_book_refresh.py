"""What the ERP says of prices, stock and rules is in the price book, with its age and faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from commerce_pipelines.domain.price_book import Company, PriceTier
from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import Page, PriceBookRefresh
from commerce_pipelines_tests.services.erp_prices import (
    PRICES,
    PricedErp,
    age,
    change,
    customer,
    everybody,
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
