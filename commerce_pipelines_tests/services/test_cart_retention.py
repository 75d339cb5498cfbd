"""Carts that nobody completes go; what was bought, and who bought, stay."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.services.retention import Ages, Retention
from commerce_pipelines.store.carts import lock_cart, save_cart
from commerce_pipelines_tests.services.erp_prices import change, rows, sold

AGES = Ages(bodies_days=30, messages_days=90, steps_days=30, sagas_days=365)


@pytest.fixture
def retention(engine: Engine, sanity: Sanity) -> Retention:
    """The deletion, in small pages."""
    return Retention(engine, AGES, lambda: sanity, messages_a_page=3)


def cart(
    engine: Engine, name: str, *, created: int, touched: int, completed: int | None = None
) -> None:
    """Puts a cart with one line into the store; times are days ago."""
    names = {"name": name, "created": created, "touched": touched, "completed": completed}
    change(
        engine,
        """
        WITH made AS (
            INSERT INTO cart (id, currency_code, customer_id, created_at, updated_at, completed_at)
            VALUES (:name, 'EUR', 'anna', now() - make_interval(days => :created),
                    now() - make_interval(days => :touched),
                    now() - make_interval(days => :completed))
            RETURNING id)
        INSERT INTO cart_line (id, cart_id, variant_id, title, quantity, unit_price, min_quantity,
                               priced_at)
        SELECT 'line ' || id, id, 'v-mug', 'Mug', 1, 9.99, 1, now() FROM made""",
        **names,
    )


@pytest.fixture(autouse=True)
def sale(engine: Engine) -> None:
    """Something to buy, and a customer."""
    sold(engine, "mug")
    change(engine, "INSERT INTO customer (id, email) VALUES ('anna', 'anna@example.com')")


def kept(engine: Engine, table: str = "cart") -> list[str]:
    return [name for (name,) in rows(engine, f"SELECT id FROM {table} ORDER BY id")]


def run(retention: Retention) -> Counter[str]:
    deleted: Counter[str] = Counter()
    for page in retention.pages():
        deleted.update(page)
    return +deleted


def test_a_cart_that_nobody_touched_for_thirty_days_goes_with_its_lines(
    engine: Engine, retention: Retention
) -> None:
    for number in range(10):
        cart(engine, f"old {number}", created=90, touched=31)
    cart(engine, "of yesterday", created=1, touched=1)
    cart(engine, "touched", created=90, touched=29)

    assert run(retention) == {"carts": 10}

    assert kept(engine) == ["of yesterday", "touched"]
    assert kept(engine, "cart_line") == ["line of yesterday", "line touched"]


def test_a_completed_cart_and_its_customer_stay(engine: Engine, retention: Retention) -> None:
    cart(engine, "bought", created=900, touched=900, completed=900)
    cart(engine, "left", created=900, touched=900)

    assert run(retention) == {"carts": 1}

    assert kept(engine) == ["bought"]
    assert kept(engine, "customer") == ["anna"]


def test_how_long_they_are_kept_can_be_said(engine: Engine, retention: Retention) -> None:
    cart(engine, "old", created=6, touched=6)
    cart(engine, "young", created=6, touched=4)

    assert run(replace(retention, ages=replace(AGES, carts_days=5))) == {"carts": 1}

    assert kept(engine) == ["young"]


def test_a_cart_that_is_touched_just_then_stays(engine: Engine, retention: Retention) -> None:
    cart(engine, "old", created=90, touched=90)

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            held, _ = lock_cart(connection, "old")
            assert held is not None
            save_cart(connection, held)
            deleting = pool.submit(run, retention)
            while not deleting.done() and not _waits(engine):
                time.sleep(0.01)
        deleted = deleting.result(timeout=30)

    assert deleted == {}
    assert kept(engine) == ["old"]


def _waits(engine: Engine) -> bool:
    return bool(rows(engine, _WAITING))


_WAITING = """
    SELECT FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()"""
