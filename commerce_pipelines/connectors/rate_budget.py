"""One rate budget for all processes of the project.

Belongs here: waiting until one more request may go out. Does not belong here: which
requests count (the connector), what happens on a 429 all the same (`retry`).

The only connector module that talks to Postgres: `pyrate_limiter` keeps one row a
request of the last second in a table that it creates itself, `ratelimit___<system>`.
Of that library only the bucket is used. Its `Limiter` keeps the time of its first
try, so a sleeper that wakes late lets others in too early; and the thread it deletes
old rows with ends for ever at the first database error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, cast

import psycopg
from psycopg_pool import ConnectionPool
from pyrate_limiter import PostgresBucket, PostgresClock, Rate, RateItem

from commerce_pipelines.errors import Unavailable

# One second and what the way to the other side may vary by.
WINDOW_MILLISECONDS = 1_050
CLEAN_UP_SECONDS = 10.0
# Two processes that met at the table do not meet again.
LONGEST_JITTER_SECONDS = 0.005

_SESSION_SETTINGS = (
    # The table's times have no zone: sessions of different zones would not agree.
    "SET timezone = 'UTC'",
    # A frozen process must not hold the table's lock for long.
    "SET idle_in_transaction_session_timeout = '2s'",
    "SET statement_timeout = '10s'",
    # A crash of the server forgets a fraction of a second of requests: harmless.
    "SET synchronous_commit = off",
)


class RateBudget(Protocol):
    """A limit on requests a second."""

    def acquire(self) -> None:
        """Blocks until one more request may be sent.

        Raises:
            Unavailable: The budget cannot be asked; nothing was sent.
        """


class UnlimitedBudget:
    """A budget that never blocks."""

    def acquire(self) -> None:
        """Returns at once."""


class SharedRateBudget:
    """A budget in Postgres, shared by all that name the same system and database.

    Connects when first used. Threads may share it; they wait in line.

    Args:
        url: libpq address of the database, `postgresql://…`.
        system: Whose limit it is; part of the table's name.
        per_second: Requests in any second, all processes together.
        patience_seconds: How long a connection may take.
        sleep: Waits; an argument for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        system: str = "sanity",
        per_second: int = 25,
        patience_seconds: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._system = system
        self._rate = Rate(per_second, WINDOW_MILLISECONDS)
        self._sleep = sleep
        self._line = Lock()
        self._bucket: PostgresBucket | None = None
        self._next_clean_up = 0.0
        # One connection is enough for those who wait in line.
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=1,
            open=False,
            timeout=patience_seconds,
            check=ConnectionPool.check_connection,
            configure=_configure,
            name=f"rate budget of {system}",
        )
        self._clock = PostgresClock(self._pool)

    def acquire(self) -> None:
        """Blocks until one more request may be sent.

        Raises:
            Unavailable: The database does not answer; nothing was sent.
        """
        with self._line:
            try:
                bucket = self._opened()
                while (wait_seconds := self._take(bucket)) > 0:
                    self._sleep(wait_seconds)
                self._clean_up(bucket)
            except psycopg.Error as error:
                text = f"The rate budget of {self._system} cannot be asked: {type(error).__name__}."
                raise Unavailable(text) from error

    def close(self) -> None:
        """Closes the connection; the budget cannot be used again."""
        self._pool.close()

    def _opened(self) -> PostgresBucket:
        if self._bucket is None:
            self._pool.open()
            self._bucket = PostgresBucket(self._pool, self._system, [self._rate])
        return self._bucket

    def _take(self, bucket: PostgresBucket) -> float:
        """Takes one request's room; returns the seconds to wait if there is none."""
        item = RateItem(self._system, self._clock.now())
        if bucket.put(item):
            return 0.0
        # Not positive where the room was there and only the table was locked.
        room_in_seconds = max(0.0, cast(int, bucket.waiting(item)) / 1000)
        return room_in_seconds + random.uniform(0.001, LONGEST_JITTER_SECONDS)  # noqa: S311

    def _clean_up(self, bucket: PostgresBucket) -> None:
        if time.monotonic() >= self._next_clean_up:
            bucket.leak(self._clock.now())
            self._next_clean_up = time.monotonic() + CLEAN_UP_SECONDS


def _configure(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Sets up a new connection; settings in the address would lose against `PGTZ`."""
    for statement in _SESSION_SETTINGS:
        connection.execute(statement)
    connection.commit()
