"""Several statements in one round trip, for what somebody waits for.

Each is carried out after the one before, and sees what it left, as if they were sent one
by one. Does not belong here: which statements those are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Connection, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DatabaseError, OperationalError

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]

Rows = list[dict[str, Any]]


def ask_together(
    connection: Connection, *statements: tuple[TextClause, Mapping[str, Any]]
) -> list[Rows]:
    """Returns the rows of each statement, in order.

    Args:
        connection: An open transaction.
        statements: Each with the values of its names; those are bound without a type.
    """
    driver = _driver(connection)
    with _told_as_usual(), driver.pipeline():
        cursors = [
            driver.cursor(row_factory=dict_row).execute(_sql(statement), names)
            for statement, names in statements
        ]
        return [cursor.fetchall() for cursor in cursors]


def tell(connection: Connection, statement: TextClause, names: Mapping[str, Any]) -> None:
    """Carries out a statement whose rows nobody wants."""
    with _told_as_usual():
        _driver(connection).cursor().execute(_sql(statement), names)


def tell_and_commit(
    connection: Connection, statement: TextClause, names: Mapping[str, Any]
) -> None:
    """Carries out one last statement and commits."""
    with _told_as_usual(), _driver(connection).pipeline():
        tell(connection, statement, names)
        connection.commit()


def _driver(connection: Connection) -> Any:
    """Returns the driver's connection; SQLAlchemy commits only what it knows has begun."""
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


@contextmanager
def _told_as_usual() -> Iterator[None]:
    """Makes errors of the driver those that everybody else gets."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise OperationalError(None, None, error, hide_parameters=True) from error
    except psycopg.Error as error:
        raise DatabaseError(None, None, error, hide_parameters=True) from error


@cache
def _sql(statement: TextClause) -> str:
    return str(statement.compile(dialect=_DIALECT))
