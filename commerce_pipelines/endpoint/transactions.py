"""The store, asked in threads and within a time limit.

Belongs here: how a request gets a connection without keeping the event loop waiting. Does not
belong here: what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine

from commerce_pipelines.errors import Unavailable

# Each thread has a connection of the pool at most; what is kept of the ERP needs some too.
THREADS: Final = 16

T = TypeVar("T")


class Transactions:
    """Transactions of one endpoint.

    Args:
        engine: The store, with a connection kept open for each thread.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")

    def close(self) -> None:
        """Forgets what has not begun yet; what has ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def transact(self, work: Callable[[Connection], T], seconds: float) -> T:
        """Does something in one transaction, in a thread, and returns after its commit.

        Raises:
            Unavailable: It took too long; once begun, it may still happen.
        """

        def act() -> T:
            with self._engine.connect() as connection:
                done = work(connection)
                connection.commit()
                return done

        return await self.run(act, seconds)

    async def run(self, act: Callable[[], T], seconds: float) -> T:
        """Does something that asks the store itself, in a thread.

        Raises:
            Unavailable: It took too long; once begun, it may still happen.
        """
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, act)
        except TimeoutError as error:
            raise Unavailable("The store does not answer; try again.") from error
