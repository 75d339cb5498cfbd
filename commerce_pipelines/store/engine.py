"""Connections to the store.

Every session has limits: a frozen owner inside a transaction would otherwise
hold its saga's row for ever, and no compensator could take over. And its commits
are on disk before they count, whatever the server's default: one that a crash
forgets would leave an effect without its intent.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError

DRIVER = "postgresql+psycopg"
DAGSTER_DRIVER = "postgresql+psycopg2"
DAGSTER_SCHEMA = "dagster"

_LIMITS = (
    "-c idle_in_transaction_session_timeout=15s -c lock_timeout=5s "
    "-c statement_timeout=60s -c synchronous_commit=on -c timezone=UTC"
)
_LIMITS_TRANSACTIONS = 170000
_KEEPALIVES = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "connect_timeout": "5",
}


def connect(
    postgres_url: str,
    *,
    pool_size: int = 5,
    application: str = "commerce",
    longest_seconds: int | None = None,
) -> Engine:
    """Returns an engine whose sessions are limited and whose clock is UTC.

    Args:
        postgres_url: Any `postgresql://` address, with or without a driver.
        pool_size: Connections kept open; ten more may be opened under load.
        application: Shown in `pg_stat_activity`.
        longest_seconds: After so long the server ends a transaction, if it is PostgreSQL 17 or
            newer. Who asks together needs that: after a pipeline, being idle is not limited.
    """
    engine = create_engine(
        _with_driver(postgres_url, DRIVER),
        pool_size=pool_size,
        max_overflow=10,
        pool_timeout=2,
        # Else an error would carry whole bodies into logs and messages.
        hide_parameters=True,
        connect_args={"options": _LIMITS, "application_name": application, **_KEEPALIVES},
    )
    event.listen(engine, "do_executemany", _execute_for_each)
    _look_before_use(engine)
    if longest_seconds:
        _limit_transactions(engine, longest_seconds)
    return engine


def _limit_transactions(engine: Engine, seconds: int) -> None:
    @event.listens_for(engine, "connect")
    def limit(connection: psycopg.Connection[Any], record: Any) -> None:
        del record
        if connection.info.server_version >= _LIMITS_TRANSACTIONS:
            connection.execute(f"SET transaction_timeout = '{seconds}s'".encode())
            connection.commit()


def _look_before_use(engine: Engine) -> None:
    """Has a connection that was cut replaced, as pool_pre_ping does, but without asking each.

    One at rest has nothing to say: where something is to be read, it is mostly its end.
    """

    @event.listens_for(engine, "checkout")
    def look(connection: Any, record: Any, proxy: Any) -> None:
        del record, proxy
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.OperationalError as error:
            raise DisconnectionError from error


def libpq_url(postgres_url: str) -> str:
    """Returns the address as psycopg itself reads it, without SQLAlchemy's driver."""
    return _with_driver(postgres_url, "postgresql").render_as_string(hide_password=False)


def dagster_url(postgres_url: str) -> str:
    """Returns the address of Dagster's own storage: its schema in the same database.

    Dagster 1.13 only works over psycopg2, which SQLAlchemy 2.1 no longer takes by itself.
    """
    url = _with_driver(postgres_url, DAGSTER_DRIVER)
    url = url.update_query_dict({"options": f"-csearch_path={DAGSTER_SCHEMA}"})
    return url.render_as_string(hide_password=False)


def _with_driver(postgres_url: str, driver: str) -> URL:
    return make_url(postgres_url).set(drivername=driver)


def _execute_for_each(
    cursor: Any, statement: str, rows: Sequence[Mapping[str, Any]], context: Any
) -> bool:
    """Carries a statement out for many rows, and tells SQLAlchemy that it is done.

    psycopg itself would use a pipeline. That ends with a flush, after which the server does not
    limit how long the transaction is idle: whoever froze then would hold its rows for ever.
    """
    del context
    for row in rows:
        cursor.execute(statement, row)
    return True
