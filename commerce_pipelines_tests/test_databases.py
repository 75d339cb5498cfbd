"""The test ground itself: no test finds what another one left."""

from __future__ import annotations

import psycopg
import pytest

from commerce_pipelines_tests.databases import Databases


def lent_after(server_url: str, change: str) -> tuple[str, str]:
    """The database that a test changed, and the one that the next test gets."""
    databases = Databases(server_url)
    with databases.migrated() as first, psycopg.connect(first) as connection:
        connection.execute(change.encode())
    with databases.migrated() as second:
        pass
    databases.close()
    return first, second


def test_a_database_is_emptied_and_used_again(server_url: str) -> None:
    first, second = lent_after(
        server_url, "INSERT INTO cart (id, currency_code) VALUES ('c', 'EUR')"
    )

    assert first == second
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT count(*) FROM cart").fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE message ALTER tries SET DEFAULT 9",
        "ALTER TABLE brand ADD CONSTRAINT none CHECK (name <> 'Acme')",
        "ALTER TABLE brand ADD COLUMN more text",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_a_database_with_another_schema_is_not_used_again(server_url: str, change: str) -> None:
    first, second = lent_after(server_url, change)

    assert first != second
