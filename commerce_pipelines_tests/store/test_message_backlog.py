"""A hundred thousand messages wait: each question about them still goes through a small index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from commerce_pipelines.store.inbox_health import count_refused, list_refused
from commerce_pipelines.store.message_claims import claim_page, count_pages, oldest_due
from commerce_pipelines.store.message_reads import count_waiting
from commerce_pipelines_tests.store.inbox import TOPIC

WAITING, DONE, PRODUCTS = 100_000, 250_000, 200

QUESTIONS: dict[str, Callable[[Connection], Any]] = {
    "the oldest": lambda connection: oldest_due(connection, TOPIC),
    "the pages": lambda connection: count_pages(connection, TOPIC, most_items=5_000),
    "a claim": lambda connection: claim_page(
        connection, topic=TOPIC, saga_id="saga", run_id="run", most_items=5_000
    ),
    "what is refused": lambda connection: list_refused(connection, 20),
    "how many are refused": count_refused,
    "how many wait": lambda connection: count_waiting(connection, most=1_000_000),
}


@pytest.fixture
def backlog(engine: Engine) -> Iterator[Connection]:
    """A connection to a store with a backlog; what is done there is rolled back."""
    with engine.begin() as connection:
        connection.execute(_FILL, {"state": "done", "number": DONE, "products": PRODUCTS})
        connection.execute(_FILL, {"state": "new", "number": WAITING, "products": PRODUCTS})
        connection.execute(_FAIL)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE message"))
    with engine.connect() as connection:
        yield connection


def test_no_question_reads_the_whole_inbox(backlog: Connection) -> None:
    for name, question in QUESTIONS.items():
        plans = list(_plans(backlog, question))
        scans = [scan for plan in plans for scan in _scans(plan)]

        assert scans, name
        assert {scan.get("Index Name") for scan in scans} <= {
            "message_due",
            "message_in_order",
            "message_pkey",
            "message_refused",
        }, (name, scans)
        # By the primary key only what was chosen before is written.
        by_key = [scan for scan in scans if scan.get("Index Name") == "message_pkey"]
        assert all("Index Cond" in scan for scan in by_key), name


def test_a_page_is_full_and_in_order_however_many_wait(backlog: Connection) -> None:
    claimed = QUESTIONS["a claim"](backlog)

    held = backlog.execute(text("SELECT aggregate FROM message WHERE state = 'claimed'")).scalars()
    assert len(claimed) == 5_000
    assert claimed == sorted(claimed)
    # One product rests after a failure, so all that came later about it waits too.
    assert "product:1" not in set(held)


def _plans(connection: Connection, question: Callable[[Connection], Any]) -> Iterator[Any]:
    """Yields how PostgreSQL would do each statement of a question."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, names: Any, ___: Any, ____: Any) -> None:
        asked.append((statement, names))

    event.listen(connection, "before_cursor_execute", note)
    with connection.begin_nested() as trial:
        question(connection)
        trial.rollback()
    event.remove(connection, "before_cursor_execute", note)
    for statement, names in asked:
        if " message" in statement:
            explained = connection.exec_driver_sql("EXPLAIN (FORMAT JSON) " + statement, names)
            yield explained.scalar_one()[0]["Plan"]


def _scans(node: Any) -> Iterator[Any]:
    """Yields what reads the inbox itself or one of its indexes."""
    kind = node["Node Type"]
    on_inbox = node.get("Relation Name") == "message" and kind != "ModifyTable"
    if kind == "Bitmap Index Scan" or (on_inbox and kind != "Bitmap Heap Scan"):
        yield from [node] if node.get("Index Name", "message").startswith("message") else []
    for child in node.get("Plans", []):
        yield from _scans(child)


_FILL = text("""
    INSERT INTO message (source, webhook_id, topic, aggregate, body, body_sha256, state)
    SELECT 'pim', :state || number, 'products', 'product:' || number % :products, '[]', '', :state
    FROM generate_series(1, :number) AS number""")

_FAIL = text("""
    UPDATE message SET tries = 1, next_try_at = now() + interval '1 hour'
    WHERE webhook_id = 'new1'""")
