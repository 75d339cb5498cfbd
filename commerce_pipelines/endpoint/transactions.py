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
# More threads at work would take each other the interpreter's lock: a third slower with all.
AT_WORK: Final = 4
# Who takes longer most likely waits for somebody else, and keeps no third one waiting.
TURN_SECONDS: Final = 0.1

T = TypeVar("T")


class Transactions:
    """Transactions of one endpoint.

    Args:
        engine: The store, with a connection kept open for each thread.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._turns = asyncio.Semaphore(AT_WORK)

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
            async with asyncio.timeout(seconds), _Turn(self._turns):
                return await asyncio.get_running_loop().run_in_executor(self._threads, act)
        except TimeoutError as error:
            raise Unavailable("The store does not answer; try again.") from error


class _Turn:
    """Time to work, which ends with the block, or before if that takes long."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._is_mine = False

    async def __aenter__(self) -> None:
        await self._turns.acquire()
        self._is_mine = True
        self._end = asyncio.get_running_loop().call_later(TURN_SECONDS, self._give_back)

    async def __aexit__(self, *_: object) -> None:
        self._end.cancel()
        self._give_back()

    def _give_back(self) -> None:
        if self._is_mine:
            self._is_mine = False
            self._turns.release()
