"""The limits of a session, which hold whatever was asked last."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from commerce_pipelines.store.engine import connect
from commerce_pipelines.store.together import ask_together


def test_who_freezes_after_a_statement_for_many_rows_is_cut_off_too(
    engine: Engine,
) -> None:
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '200ms'"))
        connection.execute(text("CREATE TEMP TABLE counted (number int)"))
        connection.execute(
            text("INSERT INTO counted VALUES (:number)"), [{"number": 1}, {"number": 2}]
        )
        time.sleep(1.0)

        with pytest.raises(DBAPIError, match="idle-in-transaction"):
            connection.execute(text("SELECT 1"))


def test_who_freezes_after_asking_together_is_cut_off_in_the_end(postgres_url: str) -> None:
    engine = connect(postgres_url, longest_seconds=1)
    with engine.connect() as connection:
        ask_together(connection, (text("SELECT 1"), {}))
        time.sleep(2.0)

        with pytest.raises(DBAPIError, match="transaction timeout"):
            connection.execute(text("SELECT 1"))
    engine.dispose()


def test_a_statement_for_many_rows_is_carried_out_for_each(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE counted (number int)"))
        connection.execute(
            text("INSERT INTO counted VALUES (:number)"), [{"number": 1}, {"number": 2}]
        )
        assert connection.execute(text("SELECT number FROM counted")).scalars().all() == [1, 2]


def test_every_session_has_limits(engine: Engine) -> None:
    with engine.connect() as connection:
        limits = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("idle_in_transaction_session_timeout", "lock_timeout", "TimeZone")
        }

    assert limits == {
        "idle_in_transaction_session_timeout": "15s",
        "lock_timeout": "5s",
        "TimeZone": "UTC",
    }
