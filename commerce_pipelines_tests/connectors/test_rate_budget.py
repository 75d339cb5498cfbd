"""The rate budget over real processes and a real Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from commerce_pipelines.connectors.rate_budget import SharedRateBudget
from commerce_pipelines.errors import Unavailable

TABLE = "ratelimit___sanity"
OpenBudget = Callable[..., SharedRateBudget]

# Begins when told to, so that all begin together; says when it began and ended.
PROGRAM = """
import sys, time
from commerce_pipelines.connectors.rate_budget import SharedRateBudget

budget = SharedRateBudget(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
begun = time.monotonic()
for _ in range(int(sys.argv[2])):
    budget.acquire()
print(begun, time.monotonic(), flush=True)
"""


@pytest.fixture
def url(empty_postgres_url: str) -> str:
    """An empty database."""
    return empty_postgres_url


@pytest.fixture
def open_budget(url: str) -> Iterator[OpenBudget]:
    """Opens budgets in the database and closes them in the end."""
    with ExitStack() as stack:

        def opened(**options: Any) -> SharedRateBudget:
            budget = SharedRateBudget(url, **options)
            stack.callback(budget.close)
            return budget

        yield opened


def ask(url: str, statement: str) -> Any:
    """Returns the first value a statement gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def keep_all_requests(url: str) -> None:
    """Lets nobody delete old requests, so that a test can look at all of them."""
    with psycopg.connect(url, autocommit=True) as connection:
        rule = f"CREATE RULE keep AS ON DELETE TO {TABLE} DO INSTEAD NOTHING"
        connection.execute(rule.encode())


def most_in_a_second(url: str) -> Any:
    """Returns the most requests let out in any second, by the server's clock."""
    return ask(
        url,
        "SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY item_timestamp RANGE BETWEEN"
        f" '1 second' PRECEDING AND CURRENT ROW) AS n FROM {TABLE}) AS windows",
    )


def start(url: str, requests: int, zone: str) -> subprocess.Popen[str]:
    """Starts a process that takes this many requests' room, and waits until it is ready."""
    root = Path(__file__).parents[2]
    started = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, url, str(requests)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PGTZ": zone},
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_four_processes_together_keep_the_rate_whatever_their_time_zones(
    url: str, open_budget: OpenBudget
) -> None:
    open_budget().acquire()
    keep_all_requests(url)
    zones = ("UTC", "Asia/Tokyo", "America/St_Johns", "Pacific/Apia")
    processes = [start(url, 30, zone) for zone in zones]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate() for process in processes]
    # None was closed: they end all the same, and without a complaint.
    assert [error for _, error in outputs] == ["", "", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    times = [tuple(map(float, output.split())) for output, _ in outputs]
    assert max(end for _, end in times) - min(begin for begin, _ in times) >= 4.2
    assert ask(url, f"SELECT count(*) FROM {TABLE}") == 121
    assert most_in_a_second(url) <= 25


def test_threads_wait_in_line(url: str, open_budget: OpenBudget) -> None:
    budget = open_budget(per_second=10)
    budget.acquire()
    keep_all_requests(url)

    def take_five() -> None:
        for _ in range(5):
            budget.acquire()

    threads = [threading.Thread(target=take_five) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(url, f"SELECT count(*) FROM {TABLE}") == 26
    assert most_in_a_second(url) <= 10


def test_a_locked_table_is_waited_for(url: str, open_budget: OpenBudget) -> None:
    waiting = threading.Event()

    def wait(seconds: float) -> None:
        waiting.set()
        threading.Event().wait(seconds)

    budget = open_budget(sleep=wait)
    budget.acquire()
    thread = threading.Thread(target=budget.acquire)
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE {TABLE} IN EXCLUSIVE MODE".encode())
        thread.start()
        assert waiting.wait(30)
        assert thread.is_alive()
    thread.join()
    assert ask(url, f"SELECT count(*) FROM {TABLE}") == 2


def test_a_frozen_process_in_the_middle_is_cut_off(url: str, open_budget: OpenBudget) -> None:
    frozen, budget = open_budget(), open_budget()
    frozen.acquire()
    budget.acquire()
    with (
        frozen._pool.connection() as connection,
        pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout),
    ):
        connection.execute(f"LOCK TABLE {TABLE} IN EXCLUSIVE MODE".encode())
        budget.acquire()
        connection.execute("SELECT 1")


def test_old_requests_are_deleted(url: str, open_budget: OpenBudget) -> None:
    open_budget().acquire()
    ask(
        url,
        f"INSERT INTO {TABLE} SELECT 'sanity', 1, now() AT TIME ZONE 'UTC' - '1 minute'::interval"
        " FROM generate_series(1, 1000) RETURNING 1",
    )
    open_budget().acquire()
    assert ask(url, f"SELECT count(*) FROM {TABLE}") == 2


def test_systems_do_not_share_a_budget(url: str, open_budget: OpenBudget) -> None:
    def refuse(seconds: float) -> None:
        raise AssertionError(f"asked to wait {seconds} s")

    for system in ("sanity", "erp"):
        budget = open_budget(system=system, sleep=refuse)
        for _ in range(25):
            budget.acquire()


def test_a_budget_survives_the_loss_of_its_connection(url: str, open_budget: OpenBudget) -> None:
    budget = open_budget()
    budget.acquire()
    ask(
        url,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    budget.acquire()
    assert ask(url, f"SELECT count(*) FROM {TABLE}") == 2


def test_without_a_database_nothing_may_be_sent(tmp_path: Path) -> None:
    budget = SharedRateBudget(f"postgresql:///x?host={tmp_path}", patience_seconds=0.2)
    with pytest.raises(Unavailable, match="rate budget of sanity"):
        budget.acquire()
    budget.close()
