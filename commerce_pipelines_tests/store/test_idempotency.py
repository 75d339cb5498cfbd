"""How the first answer to a request is found, among very many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from commerce_pipelines.store.carts import create_cart, lock_cart
from commerce_pipelines.store.idempotency import KeyedRequest, finding

UNSIGNED = KeyedRequest("POST /store/carts/9/complete", "9", b"")
SIGNED = KeyedRequest("POST /store/carts/9/complete", "9", b"", "msg_9")
WITHOUT_KEY = KeyedRequest("POST /store/carts/9/complete", None, b"", "msg_9")
BY_KEY = {"idempotency_key_pkey"}
BY_BOTH = {*BY_KEY, "idempotency_key_delivery"}


@pytest.fixture
def kept(engine: Engine) -> Iterator[Connection]:
    """A connection to a store that has kept many answers."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO idempotency_key (scope, key, request_sha256, status, body, delivery)
                SELECT 'POST /store/carts/' || n || '/complete', n, '', 200, '',
                       CASE WHEN n % 2 = 0 THEN 'msg_' || n END
                FROM generate_series(1, 50000) AS n""")
        )
        connection.execute(text("ANALYZE idempotency_key"))
    with engine.connect() as connection:
        yield connection


def plan(connection: Connection, statement: str, names: dict[str, Any], planned: str) -> Any:
    """Returns how PostgreSQL would do a statement that was prepared."""
    known = [name for name in names if f":{name}" in statement]
    for number, name in enumerate(known, start=1):
        statement = statement.replace(f":{name}", f"${number}")
    quoted = ", ".join("NULL" if names[name] is None else f"'{names[name]}'" for name in known)
    connection.exec_driver_sql(f"SET plan_cache_mode = {planned}")
    connection.exec_driver_sql(f"PREPARE question AS {statement}")
    explained = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE question ({quoted})")
    return explained.scalar_one()[0]["Plan"]


def scans_of(node: Any) -> Iterator[Any]:
    """Yields what reads a table or an index."""
    kind = node["Node Type"]
    if "Index Name" in node or (kind.endswith("Scan") and kind != "Bitmap Heap Scan"):
        yield node
    for child in node.get("Plans", []):
        yield from scans_of(child)


def locks_of(connection: Connection) -> int:
    """Returns how many locks the transaction holds beside those of rows and tables."""
    return int(
        connection.execute(
            text("""
                SELECT count(*) FROM pg_locks
                WHERE locktype = 'advisory' AND pid = pg_backend_pid()""")
        ).scalar_one()
    )


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("request_", "indexes"),
    [(UNSIGNED, BY_KEY), (SIGNED, BY_BOTH), (WITHOUT_KEY, BY_BOTH)],
    ids=["with a key", "with both", "with a delivery"],
)
def test_an_answer_is_looked_up_by_indexes_alone(
    kept: Connection, request_: KeyedRequest, indexes: set[str], planned: str
) -> None:
    statement, names = finding(request_)

    scans = list(scans_of(plan(kept, statement.text, names, planned)))

    assert {scan.get("Index Name", scan["Node Type"]) for scan in scans} == indexes
    assert all("Index Cond" in scan for scan in scans)


def test_only_a_signed_request_waits_for_others_with_the_same_delivery(engine: Engine) -> None:
    with engine.connect() as connection:
        cart_id = create_cart(connection, "EUR", {})
        held = [
            (lock_cart(connection, cart_id, request), locks_of(connection))[1]
            for request in (None, UNSIGNED, SIGNED)
        ]

    assert held == [0, 0, 1]
