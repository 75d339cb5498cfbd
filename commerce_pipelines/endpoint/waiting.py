"""Waiting for messages to be finished, without a thread or a connection for each.

Belongs here: one look at the store for all that wait. Does not belong here: what
is answered then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection

from sqlalchemy.exc import SQLAlchemyError

from commerce_pipelines.errors import CommerceError

# A run takes about a second, so a twentieth of it is not felt.
PAUSE_SECONDS = 0.05

_log = logging.getLogger(__name__)

Finished = Callable[[Collection[int]], Awaitable[set[int]]]


class Waiting:
    """Those who wait, and the one task that looks for them.

    Args:
        finished: Tells which of some messages are finished.
    """

    def __init__(self, finished: Finished) -> None:
        self._finished = finished
        self._waiters: dict[int, set[asyncio.Future[bool]]] = defaultdict(set)
        self._somebody = asyncio.Event()
        self._released = False

    async def until_finished(self, message_id: int, seconds: float) -> bool:
        """Returns True once a message is finished, False when the time is up."""
        if self._released:
            return False
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters[message_id].add(waiter)
        self._somebody.set()
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except TimeoutError:
            return False
        finally:
            self._leave(message_id, waiter)

    def release(self) -> None:
        """Ends every wait, because the endpoint stops."""
        self._released = True
        for message_id in list(self._waiters):
            self._tell(message_id, finished=False)

    async def look(self) -> None:
        """Looks for all that wait, until cancelled; rests while nobody does."""
        while True:
            await self._somebody.wait()
            try:
                for message_id in await self._finished(list(self._waiters)):
                    self._tell(message_id, finished=True)
            except (CommerceError, SQLAlchemyError) as error:
                _log.warning("cannot look for finished messages: %s", type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)

    def _tell(self, message_id: int, *, finished: bool) -> None:
        for waiter in self._waiters.get(message_id, ()):
            if not waiter.done():
                waiter.set_result(finished)

    def _leave(self, message_id: int, waiter: asyncio.Future[bool]) -> None:
        self._waiters[message_id].discard(waiter)
        if not self._waiters[message_id]:
            del self._waiters[message_id]
        if not self._waiters:
            self._somebody.clear()
