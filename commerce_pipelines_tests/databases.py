"""Databases for tests: copies of a migrated template, emptied and used again.

Copying takes longer than most tests, so a database whose schema a test has left
alone is emptied for the next one; any other is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

Session = psycopg.Connection[tuple[object, ...]]

EMPTY = "template1"
MIGRATED = "migrated"
KEEPER = "keeper"


class Databases:
    """The databases of one worker.

    Args:
        server_url: Any database of the server, to make others from.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        # Into each a session stays open: a new one looks up the whole catalog again.
        self._spare: list[Session] = []
        with self._open(MIGRATED) as session:
            self._schema = _fingerprint(session)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Lends the address of a database with nothing in it."""
        name = self._create(EMPTY)
        yield self._url(name)
        self._drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Lends the address of a database with the newest schema and no rows."""
        session = self._spare_or_new()
        name = session.info.dbname
        yield self._url(name)
        if self._is_as_new(session):
            self._spare.append(session)
        else:
            session.close()
            self._drop(name)

    def close(self) -> None:
        """Ends the sessions; the databases go with the server."""
        for session in self._spare:
            session.close()

    def _spare_or_new(self) -> Session:
        with suppress(IndexError):  # several threads may ask
            return self._spare.pop()
        return self._open(self._create(MIGRATED))

    def _is_as_new(self, session: Session) -> bool:
        """Empties a database and tells whether it is as if nobody had used it."""
        try:
            _end_others(session)
            if _fingerprint(session) != self._schema:
                return False
            session.execute(DELETE_ROWS)
        except psycopg.OperationalError:  # a test has ended all sessions of its database
            return False
        return True

    def _url(self, name: str) -> str:
        return make_url(self._server_url).set(database=name).render_as_string(hide_password=False)

    def _open(self, name: str) -> Session:
        return psycopg.connect(self._url(name), autocommit=True, application_name=KEEPER)

    def _create(self, template: str) -> str:
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            statement = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
            connection.execute(statement.encode())
        return name

    def _drop(self, name: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _end_others(session: Session) -> None:
    """Ends all other sessions; what they are at would come after the emptying."""
    while session.execute(_END_OTHERS).fetchall():
        time.sleep(0.002)


def _fingerprint(session: Session) -> str | None:
    try:
        row = session.execute(_FINGERPRINT).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return None if row is None else str(row[0])


_END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()"""

_FINGERPRINT = """
    WITH ours AS (
        SELECT oid FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'),
    facts AS (
        SELECT concat_ws(' ', relname, attname, atttypid, attnotnull, attisdropped) AS fact
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace IN (SELECT oid FROM ours) AND attnum > 0
        UNION ALL SELECT concat_ws(' ', relname, adnum, pg_get_expr(adbin, adrelid))
            FROM pg_attrdef JOIN pg_class ON adrelid = pg_class.oid
        UNION ALL SELECT concat_ws(' ', tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(' ', proname, md5(prosrc)) FROM pg_proc
            WHERE pronamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT concat_ws(' ', conname, convalidated) FROM pg_constraint
            WHERE connamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT version_num FROM commerce_version)
    SELECT string_agg(fact, E'\\n' ORDER BY fact) FROM facts"""

# Past triggers and references, also for the rest of its transaction.
DELETE_ROWS = """
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
