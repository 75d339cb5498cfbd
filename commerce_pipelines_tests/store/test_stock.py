"""Pieces that orders hold: taken all or none, and let go once nobody waits for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.store.stock import (
    count_expired,
    hold,
    release_expired,
    release_order,
    reserve,
)
from commerce_pipelines_tests.orders import place_order

VARIANT = "variant_1"


@pytest.fixture
def order(engine: Engine) -> str:
    """An order that waits for its export and holds two of ten pieces for no time at all."""
    stock(engine, VARIANT, 10)
    with engine.begin() as connection:
        order_id = place_order(connection)
        connection.execute(text("DELETE FROM reservation"))
        reserve(connection, {VARIANT: 2})
        hold(connection, order_id, {VARIANT: 2}, -1)
    return order_id


def stock(engine: Engine, variant: str, available: int, *, beyond: bool = False) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO stock_level (variant_id, available, allows_out_of_stock, as_of)
                VALUES (:variant, :available, :beyond, now())"""),
            {"variant": variant, "available": available, "beyond": beyond},
        )


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def reserved(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT variant_id, reserved FROM stock_level"))
        return {row.variant_id: row.reserved for row in rows}


def released(engine: Engine) -> dict[str, int]:
    with engine.begin() as connection:
        due = count_expired(connection)
        pieces = release_expired(connection)
    assert bool(due) == bool(pieces)
    return pieces


def test_pieces_are_taken_all_or_none(engine: Engine) -> None:
    stock(engine, "a", 5)
    stock(engine, "b", 2)
    stock(engine, "c", 0, beyond=True)
    with engine.begin() as connection:
        assert reserve(connection, {"b": 3, "a": 1, "c": 9, "none": 1}) == {"b": 2, "none": 0}
    assert reserved(engine) == {"a": 0, "b": 0, "c": 0}
    with engine.begin() as connection:
        assert reserve(connection, {"b": 2, "a": 1, "c": 9}) == {}
    assert reserved(engine) == {"a": 1, "b": 2, "c": 9}


def test_fifty_at_once_take_no_more_than_there_are(engine: Engine) -> None:
    stock(engine, "a", 10)
    stock(engine, "b", 1000)

    def take(number: int) -> bool:
        order = ["a", "b"] if number % 2 else ["b", "a"]
        with engine.begin() as connection:
            return not reserve(connection, dict.fromkeys(order, 1))

    with ThreadPoolExecutor(12) as pool:
        taken = sum(pool.map(take, range(50)))

    assert taken == 10
    assert reserved(engine) == {"a": 10, "b": 10}


def test_an_order_on_its_way_keeps_its_pieces_however_long_it_takes(
    engine: Engine, order: str
) -> None:
    for state in ("new", "claimed"):
        change(engine, f"UPDATE message SET state = '{state}'")
        assert released(engine) == {}
    assert reserved(engine) == {VARIANT: 2}


def test_an_order_that_was_given_up_lets_go_once_its_time_is_over(
    engine: Engine, order: str
) -> None:
    change(engine, "UPDATE message SET state = 'dead'")
    change(engine, "UPDATE reservation SET expires_at = now() + interval '1 hour'")
    assert released(engine) == {}
    change(engine, "UPDATE reservation SET expires_at = now()")
    assert released(engine) == {VARIANT: 2}
    assert released(engine) == {}
    assert reserved(engine) == {VARIANT: 0}


def test_a_cancelled_order_lets_go_at_once(engine: Engine, order: str) -> None:
    change(engine, "UPDATE reservation SET expires_at = now() + interval '1 hour'")
    change(engine, "UPDATE store_order SET status = 'cancelled'")
    assert released(engine) == {VARIANT: 2}
    assert reserved(engine) == {VARIANT: 0}


def test_what_the_erp_has_confirmed_waits_for_its_word_on_the_stock(
    engine: Engine, order: str
) -> None:
    change(engine, "UPDATE message SET state = 'done'")
    change(engine, "UPDATE reservation SET confirmed_at = now()")
    assert released(engine) == {}
    assert reserved(engine) == {VARIANT: 2}


def test_an_order_lets_go_once_by_its_id(engine: Engine, order: str) -> None:
    with engine.begin() as connection:
        assert release_order(connection, order) == 1
        assert release_order(connection, order) == 0
    assert reserved(engine) == {VARIANT: 0}
