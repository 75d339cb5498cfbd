"""The rows of a database, kept in memory and put back.

Preparing a ground means working through an import, which takes longer than most
cases. So it is done once for each scene; before each case the rows are put back
as they were, with the same ids and times, and the sequences too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from commerce_pipelines_tests.databases import DELETE_ROWS

_TABLES = """
    SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'commerce_version'"""
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
_SET_SEQUENCES = """
    SELECT setval(name::regclass, at) FROM unnest(%s::text[], %s::bigint[]) AS kept (name, at)"""


@dataclass(frozen=True)
class Rows:
    """All rows of a database.

    Attributes:
        tables: By table, as COPY writes them; only of tables that have any.
        sequences: Where each sequence stands that was used.
    """

    tables: Mapping[str, bytes]
    sequences: Mapping[str, int]


def read_rows(engine: Engine) -> Rows:
    """Returns all rows."""
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        tables = {}
        for (table,) in driver.execute(_TABLES).fetchall():
            with driver.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                content = b"".join(copy)
            if content:
                tables[table] = content
        return Rows(tables, dict(driver.execute(_SEQUENCES).fetchall()))


def write_rows(engine: Engine, rows: Rows) -> None:
    """Makes these all the rows that there are, past all triggers and references."""
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute(DELETE_ROWS)
        for table, content in rows.tables.items():
            with driver.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write(content)
        driver.execute(_SET_SEQUENCES, [list(rows.sequences), list(rows.sequences.values())])
