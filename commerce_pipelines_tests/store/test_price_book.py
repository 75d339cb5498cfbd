"""Replacing rows of the price book: newest word, whole rows, many at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from commerce_pipelines.store.price_book import (
    PriceRow,
    Replaced,
    RuleRow,
    replace_prices,
    replace_rules,
)
from commerce_pipelines.store.stock_levels import StockRow, replace_stock
from commerce_pipelines_tests.services.erp_prices import change, rows

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def price(variant_id: str, amount: str | None, as_of: float, fetched: float = 0.0) -> PriceRow:
    tiers = ([1], [Decimal(amount)]) if amount is not None else ([], [])
    return PriceRow(variant_id, "EUR", "", *tiers, at(as_of), at(fetched or as_of))


def stock(variant_id: str, available: int, as_of: float, fetched: float = 0.0) -> StockRow:
    return StockRow(variant_id, available, False, at(as_of), at(fetched or as_of))


def save_prices(engine: Engine, *given: PriceRow) -> Replaced:
    with engine.begin() as connection:
        return replace_prices(connection, given)


def save_stock(engine: Engine, *given: StockRow) -> Replaced:
    with engine.begin() as connection:
        return replace_stock(connection, given)


def amounts(engine: Engine) -> list[object]:
    return [row[0] for row in rows(engine, "SELECT amounts FROM price_book ORDER BY variant_id")]


def reserve(
    engine: Engine, order: str, variant: str, quantity: int, confirmed: float | None
) -> None:
    change(
        engine,
        """INSERT INTO store_order (id, email, currency_code, total_minor, shipping_address,
                                    billing_address)
           VALUES (:order, 'a@example.com', 'EUR', 1, '{}', '{}')""",
        order=order,
    )
    change(
        engine,
        """INSERT INTO reservation (order_id, variant_id, quantity, expires_at, confirmed_at)
           VALUES (:order, :variant, :quantity, now(), :confirmed)""",
        order=order,
        variant=variant,
        quantity=quantity,
        confirmed=None if confirmed is None else at(confirmed),
    )
    change(
        engine,
        "UPDATE stock_level SET reserved = reserved + :quantity WHERE variant_id = :variant",
        quantity=quantity,
        variant=variant,
    )


def test_rows_are_created_changed_and_counted(engine: Engine) -> None:
    assert save_prices(engine, price("a", "1", 1), price("b", "1", 1)) == Replaced(changed=2)

    again = save_prices(engine, price("a", "1.0000", 2), price("b", "2", 2), price("c", None, 2))

    assert again == Replaced(changed=2, unchanged=1)
    assert amounts(engine) == [[Decimal("1.0000")], [Decimal("2.0000")], []]
    assert rows(engine, "SELECT DISTINCT as_of, fetched_at FROM price_book") == [(at(2), at(2))]


def test_an_older_word_changes_nothing_and_the_same_moment_counts_again(engine: Engine) -> None:
    save_prices(engine, price("a", "5", 5))

    assert save_prices(engine, price("a", "4", 4, fetched=9)) == Replaced(outdated=1)
    assert rows(engine, "SELECT as_of, fetched_at FROM price_book") == [(at(5), at(5))]
    assert save_prices(engine, price("a", "6", 5)) == Replaced(changed=1)
    assert amounts(engine) == [[Decimal("6.0000")]]


def test_a_word_fetched_before_does_not_make_a_row_look_older(engine: Engine) -> None:
    save_prices(engine, price("a", "5", 5, fetched=9))
    save_prices(engine, price("a", "6", 6, fetched=7))

    assert rows(engine, "SELECT as_of, fetched_at FROM price_book") == [(at(6), at(9))]


def test_not_for_sale_is_a_word_too(engine: Engine) -> None:
    save_prices(engine, price("a", "1", 1))
    save_prices(engine, price("a", None, 2))

    assert save_prices(engine, price("a", "1", 1)) == Replaced(outdated=1)
    assert amounts(engine) == [[]]


def test_pages_in_any_order_and_at_once_leave_the_newest_word(engine: Engine) -> None:
    pages = list(range(1, 41))
    random.Random(5).shuffle(pages)

    def save(number: int) -> None:
        with engine.begin() as connection:
            ids = [f"v{n}" for n in range(50)]
            random.Random(number).shuffle(ids)
            replace_prices(connection, [price(id_, str(number), number) for id_ in ids])
            replace_stock(connection, [stock(id_, number, number) for id_ in ids])
            given = (RuleRow(id_, "acme", number % 2 == 0, at(number), at(number)) for id_ in ids)
            replace_rules(connection, given)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(save, pages))

    assert rows(engine, "SELECT DISTINCT amounts FROM price_book") == [([Decimal("40.0000")],)]
    assert rows(engine, "SELECT DISTINCT available FROM stock_level") == [(40,)]
    assert rows(engine, "SELECT DISTINCT is_allowed FROM purchase_rule") == [(True,)]


def test_a_reader_sees_a_page_before_or_after_never_between(engine: Engine) -> None:
    ids = [f"v{n}" for n in range(200)]
    over = threading.Event()

    def replace() -> None:
        for number in range(1, 30):
            save_prices(engine, *(price(id_, str(number), number) for id_ in ids))
        over.set()

    with ThreadPoolExecutor(1) as worker:
        writing = worker.submit(replace)
        seen = set()
        while not over.is_set():
            seen.add(len(rows(engine, "SELECT DISTINCT amounts FROM price_book")))
            if writing.done():
                break
        writing.result()

    assert seen <= {0, 1}
    assert 1 in seen


def test_a_page_that_cannot_be_saved_leaves_everything_as_it_was(engine: Engine) -> None:
    save_prices(engine, price("a", "1", 1))

    def broken() -> Iterable[PriceRow]:
        yield price("a", "2", 2)
        raise OSError

    with pytest.raises(OSError), engine.begin() as connection:
        replace_prices(connection, broken())

    assert amounts(engine) == [[Decimal("1.0000")]]


def test_two_pages_in_one_transaction_do_not_mix(engine: Engine) -> None:
    with engine.begin() as connection:
        replace_prices(connection, [price("a", "1", 1)])

        assert replace_prices(connection, [price("b", "1", 1)]) == Replaced(changed=1)


def test_what_the_erp_counts_by_now_is_no_longer_reserved(engine: Engine) -> None:
    save_stock(engine, stock("a", 10, 1), stock("b", 10, 1))
    reserve(engine, "early", "a", 2, confirmed=5)
    reserve(engine, "late", "a", 3, confirmed=15)
    reserve(engine, "open", "a", 1, confirmed=None)
    reserve(engine, "other", "b", 4, confirmed=5)

    save_stock(engine, stock("a", 8, 10))

    assert rows(engine, "SELECT variant_id, available, reserved FROM stock_level ORDER BY 1") == [
        ("a", 8, 4),
        ("b", 10, 4),
    ]
    released = "SELECT order_id FROM reservation WHERE released_at IS NOT NULL"
    assert rows(engine, released) == [("early",)]


@pytest.mark.parametrize(("as_of", "fetched"), [(10, 4), (4, 10)])
def test_a_clock_that_is_wrong_frees_no_piece_too_early(
    engine: Engine, as_of: float, fetched: float
) -> None:
    save_stock(engine, stock("a", 10, 1))
    reserve(engine, "one", "a", 2, confirmed=5)

    save_stock(engine, stock("a", 10, as_of, fetched))

    assert rows(engine, "SELECT reserved FROM stock_level") == [(2,)]


def test_an_older_word_on_the_stock_releases_nothing(engine: Engine) -> None:
    save_stock(engine, stock("a", 10, 20))
    reserve(engine, "one", "a", 2, confirmed=5)

    assert save_stock(engine, stock("a", 8, 10)) == Replaced(outdated=1)

    assert rows(engine, "SELECT available, reserved FROM stock_level") == [(10, 2)]
    assert rows(engine, "SELECT released_at FROM reservation") == [(None,)]


def test_a_piece_is_released_once_however_many_words_come_at_once(engine: Engine) -> None:
    save_stock(engine, stock("a", 10, 1))
    for number in range(10):
        reserve(engine, f"o{number}", "a", 1, confirmed=2)
    reserve(engine, "open", "a", 5, confirmed=None)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda n: save_stock(engine, stock("a", n, n)), range(10, 40)))

    assert rows(engine, "SELECT available, reserved FROM stock_level") == [(39, 5)]


def test_an_older_word_that_waits_for_a_newer_one_releases_nothing(engine: Engine) -> None:
    save_stock(engine, stock("a", 10, 1))
    reserve(engine, "one", "a", 2, confirmed=2)

    with ThreadPoolExecutor(1) as worker:
        with engine.begin() as newer:
            # Asked before the confirmation, so it keeps the reservation.
            replace_stock(newer, [stock("a", 8, 10, fetched=1)])
            older = worker.submit(save_stock, engine, stock("a", 9, 5))
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not older.done() and rows(engine, waits) == [(0,)]:
                time.sleep(0.01)
        assert older.result() == Replaced(outdated=1)

    assert rows(engine, "SELECT available, reserved FROM stock_level") == [(8, 2)]
    assert rows(engine, "SELECT released_at FROM reservation") == [(None,)]
