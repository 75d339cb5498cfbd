"""Whether new deliveries are taken: not while too many wait, nor when the disk is nearly full.

Belongs here: looking every few seconds, so that no request pays for it. Does not
belong here: storing a delivery. One that is stored already is always acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from commerce_pipelines.errors import CommerceError, Unavailable
from commerce_pipelines.settings import Settings
from commerce_pipelines.store.message_reads import count_waiting, is_known

LOOK_SECONDS = 2.0
# Counting a million takes a while; it may take a twentieth of the time.
LEAST_PAUSES = 20
RETRY_AFTER_SECONDS = 60.0
LEAST_FREE_BYTES = 512 * 1024 * 1024

_log = logging.getLogger(__name__)

Look = Callable[[], Awaitable[str | None]]


class Door:
    """Open, or closed for a reason.

    Args:
        look: Returns why it should be closed; None when it should be open.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._closed_because: str | None = None

    def admit(self, connection: Connection, source: str, webhook_id: str) -> None:
        """Lets a delivery pass that is known or that there is room for.

        Raises:
            Unavailable: The sender should keep it and send it again later.
        """
        if self._closed_because is not None and not is_known(connection, source, webhook_id):
            self.check_open()

    def check_open(self) -> None:
        """Lets a change pass that writes a message of its own.

        Raises:
            Unavailable: There is no room for the message now.
        """
        if self._closed_because is not None:
            raise Unavailable(
                f"{self._closed_because}; nothing new is taken. Keep it and send it again later.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )

    async def watch(self) -> None:
        """Looks again and again, until cancelled; while it cannot be told, nothing changes."""
        while True:
            started = time.monotonic()
            try:
                self._move(await self._look())
            except (CommerceError, SQLAlchemyError, OSError) as error:
                _log.debug("cannot tell whether there is room: %s", type(error).__name__)
            took_seconds = time.monotonic() - started
            await asyncio.sleep(max(LOOK_SECONDS, took_seconds * LEAST_PAUSES))

    def _move(self, reason: str | None) -> None:
        if (reason is None) != (self._closed_because is None):
            _log.warning("deliveries: %s", reason or "there is room again")
        self._closed_because = reason


def why_closed(connection: Connection, most_waiting: int, disk: Path | None) -> str | None:
    """Returns why no new delivery should be taken; None when there is room.

    Args:
        connection: The store.
        most_waiting: How many messages may wait.
        disk: A directory on the store's disk; None when that is not ours to watch.
    """
    if disk is not None and shutil.disk_usage(disk).free < LEAST_FREE_BYTES:
        return "The disk is nearly full"
    if count_waiting(connection, most_waiting) >= most_waiting:
        return f"{most_waiting} messages wait"
    return None


def embedded_disk(settings: Settings) -> Path | None:
    """Returns the directory of the embedded server if that is the store, else None."""
    host = make_url(settings.require_postgres_url()).query.get("host")
    sockets, data = (settings.commerce_home / name for name in ("postgres-socket", "postgres"))
    is_embedded = isinstance(host, str) and sockets.resolve() == Path(host).resolve()
    return data if is_embedded and data.exists() else None
