"""Databases for tests: copies of a migrated template, emptied and used again.

Copying takes longer than most tests, so a database whose schema a test has left
alone is emptied for the next one; any other is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

EMPTY = "template1"
MIGRATED = "migrated"


class Databases:
    """The databases of one worker.

    Args:
        server_url: Any database of the server, to make others from.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._spare: list[str] = []
        self._schema = self._fingerprint(MIGRATED)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Lends the address of a database with nothing in it."""
        name = self._create(EMPTY)
        yield self._url(name)
        self._drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Lends the address of a database with the newest schema and no rows."""
        name = self._spare.pop() if self._spare else self._create(MIGRATED)
        yield self._url(name)
        self._disconnect_all(name)
        if self._fingerprint(name) == self._schema:
            self._delete_rows(name)
            self._spare.append(name)
        else:
            self._drop(name)

    def _url(self, name: str) -> str:
        return make_url(self._server_url).set(database=name).render_as_string(hide_password=False)

    def _create(self, template: str) -> str:
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            statement = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
            connection.execute(statement.encode())
        return name

    def _drop(self, name: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _disconnect_all(self, name: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(_DISCONNECT_ALL, [name])

    def _fingerprint(self, name: str) -> str | None:
        with psycopg.connect(self._url(name), autocommit=True) as connection:
            try:
                row = connection.execute(_FINGERPRINT).fetchone()
            except psycopg.errors.UndefinedTable:
                return None
        return None if row is None else str(row[0])

    def _delete_rows(self, name: str) -> None:
        with psycopg.connect(self._url(name), autocommit=True) as connection:
            connection.execute(_DELETE_ROWS)


# Waits until they are gone: what they were at would come after the emptying.
_DISCONNECT_ALL = """
    SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend'"""

_FINGERPRINT = """
    WITH ours AS (
        SELECT oid FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'),
    facts AS (
        SELECT concat_ws(' ', relname, attname, atttypid, attnotnull, attisdropped) AS fact
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace IN (SELECT oid FROM ours) AND attnum > 0
        UNION ALL SELECT concat_ws(' ', tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(' ', proname, md5(prosrc)) FROM pg_proc
            WHERE pronamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT concat_ws(' ', conname, convalidated) FROM pg_constraint
            WHERE connamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT version_num FROM commerce_version)
    SELECT string_agg(fact, E'\\n' ORDER BY fact) FROM facts"""

_DELETE_ROWS = """
    DO $$
    DECLARE name regclass;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r'
            AND relnamespace = 'public'::regnamespace AND relname <> 'commerce_version'
        LOOP
            EXECUTE format('DELETE FROM %s', name);
        END LOOP;
        PERFORM setval(oid, 1, false) FROM pg_class
            WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
    END $$"""
