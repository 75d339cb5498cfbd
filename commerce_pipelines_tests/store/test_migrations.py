"""Bringing a database to the newest schema."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.saga import tables as saga_tables
from commerce_pipelines.store import order_tables, price_tables
from commerce_pipelines.store import tables as store_tables
from commerce_pipelines.store.engine import connect
from commerce_pipelines.store.schema import VERSION_TABLE, is_migrated, migrate

# What the system catalogs say of a schema, each line one fact.
CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity,
               identity_generation, collation_name, numeric_precision, numeric_scale
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> :version_table""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
          AND conrelid::regclass::text <> :version_table""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> :version_table""",
    "triggers": """
        SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace""",
}


@pytest.fixture
def empty(empty_postgres_url: str) -> Iterator[Engine]:
    """A database with nothing in it."""
    engine = connect(empty_postgres_url)
    yield engine
    engine.dispose()


def catalog_of(engine: Engine) -> dict[str, set[tuple[object, ...]]]:
    """Returns everything a database says of its schema."""
    with engine.connect() as connection:
        return {
            name: {
                tuple(row)
                for row in connection.execute(text(query), {"version_table": VERSION_TABLE})
            }
            for name, query in CATALOG.items()
        }


@pytest.mark.parametrize("part", CATALOG)
def test_migrating_gives_what_the_tables_in_the_code_say(
    engine: Engine, empty: Engine, part: str
) -> None:
    assert {order_tables.cart.metadata, price_tables.price_book.metadata} == {store_tables.metadata}
    store_tables.metadata.create_all(empty)
    saga_tables.metadata.create_all(empty)

    migrated, created = catalog_of(engine)[part], catalog_of(empty)[part]

    assert migrated, "nothing was read from the catalogs"
    assert migrated == created


def test_a_migrated_database_is_left_as_it_is(engine: Engine) -> None:
    before = catalog_of(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO brand (id, name, name_key) VALUES ('b', 'B', 'b')"))

    migrate(engine)

    assert catalog_of(engine) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM brand")).scalar_one() == 1


def test_a_delivery_that_was_taken_for_two_carts_is_known_as_what_it_was_first(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        for statement in (
            "DROP INDEX idempotency_key_delivery",
            """CREATE UNIQUE INDEX idempotency_key_delivery ON idempotency_key (scope, delivery)
               WHERE delivery IS NOT NULL""",
            f"UPDATE {VERSION_TABLE} SET version_num = '0004'",
            """INSERT INTO idempotency_key (scope, key, request_sha256, status, body, delivery,
                                            created_at)
               SELECT scope, scope, '', 200, '', delivery, now() - age
               FROM (VALUES ('later', 'msg_1', interval '1 m'), ('first', 'msg_1', '2 m'),
                            ('other', 'msg_2', '3 m'), ('unsigned', NULL, '4 m'))
                   AS known (scope, delivery, age)""",
        ):
            connection.execute(text(statement))

    migrate(engine)

    with engine.connect() as connection:
        known = connection.execute(
            text("SELECT scope, delivery FROM idempotency_key ORDER BY created_at")
        )
        assert [tuple(row) for row in known] == [
            ("unsigned", None),
            ("other", "msg_2"),
            ("first", "msg_1"),
            ("later", None),
        ]


def test_two_processes_may_migrate_at_once(empty: Engine, empty_postgres_url: str) -> None:
    program = """
import sys
from commerce_pipelines.store.engine import connect
from commerce_pipelines.store.schema import migrate
sys.stdin.readline()
engine = connect(sys.argv[1])
print(migrate(engine))
engine.dispose()
"""
    command = [sys.executable, "-c", program, empty_postgres_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert is_migrated(empty)


def test_an_empty_database_is_told_from_a_migrated_one(engine: Engine, empty: Engine) -> None:
    assert is_migrated(engine)
    assert not is_migrated(empty)


def test_a_database_of_a_newer_version_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))

    assert not is_migrated(engine)
    with pytest.raises(ConfigurationError):
        migrate(engine)


def test_a_schema_for_dagster_is_there(engine: Engine) -> None:
    with engine.connect() as connection:
        query = text(
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'dagster'"
        )
        assert connection.execute(query).scalar_one() == 1
