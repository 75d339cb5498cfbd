"""Running the endpoint in the foreground.

Belongs here: the port, signals, connections that take too long. Does not belong
here: what is served (`app.py`).
"""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from commerce_pipelines.endpoint.app import create_app
from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.settings import Settings

PORTS_TRIED = 100
BACKLOG = 2048
MOST_HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 10.0
SHUTDOWN_SECONDS = 5
# Python's 5 ms would be lost at every turn of a webhook while a large list is read beside it.
SWITCH_SECONDS = 0.0005

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Runs the endpoint until SIGTERM or SIGINT, then returns.

    Args:
        settings: Where it listens and what it may take.
        on_ready: Gets the address as soon as connections are accepted.

    Raises:
        ConfigurationError: A setting is missing or unsafe, or no port is free.
    """
    app = create_app(settings)
    listener = listen(settings.endpoint_host, settings.endpoint_port)

    # uvicorn raises the signal again after a clean stop; without this it would end us with it.
    def already_stopped(number: int, frame: FrameType | None) -> None:
        del number, frame

    sys.setswitchinterval(SWITCH_SECONDS)
    # What is there from the start stays; looked through each time, it took a tenth of a request.
    gc.freeze()
    previous = {each: signal.signal(each, already_stopped) for each in _SIGNALS}
    try:
        Server(app, listener, on_ready).run()
    finally:
        listener.close()
        for each, action in previous.items():
            signal.signal(each, action)


class Server(uvicorn.Server):
    """uvicorn on a socket of our own, which tells when it is ready.

    Args:
        app: What is served.
        listener: Where; already listening.
        on_ready: Gets the address as soon as connections are accepted.
    """

    def __init__(
        self, app: FastAPI, listener: socket.socket, on_ready: Callable[[str], None]
    ) -> None:
        self._app = app
        self._listener = listener
        self._on_ready = on_ready
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientConnection,
                loop="uvloop",
                ws="none",
                lifespan="on",
                log_config=None,
                server_header=False,
                # The peer's address decides what is taken unsigned; no header may change it.
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until told to stop."""
        super().run(sockets=sockets or [self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts accepting connections and says so."""
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        self._on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers those who wait, then stops."""
        self._app.state.resources.waiting.release()
        await super().shutdown(sockets)


class PatientConnection(HttpToolsProtocol):
    """Closes a connection whose request's headers take too long or too much; uvicorn waits."""

    _patience: asyncio.TimerHandle | None = None
    _awaits_headers = True
    _header_bytes = 0
    _requests = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the clock for the first request."""
        super().connection_made(transport)
        # Its lines hold the query, which could hold a secret.
        self.access_log = False
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Reads on, and keeps clock and count for headers that are not whole."""
        before = self._requests
        super().data_received(data)
        if not self._awaits_headers or self.transport.is_closing():
            return
        # What came behind the end of a request is at most one read, and not counted.
        self._header_bytes += len(data) if self._requests == before else 0
        if self._header_bytes > MOST_HEADER_BYTES:
            self.send_400_response("The headers are too long.")
        elif self._header_bytes:
            self._watch()

    def on_headers_complete(self) -> None:
        """Stops the clock: from here on the body has its own."""
        self._forget()
        self._awaits_headers, self._header_bytes = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Waits for the next request's headers."""
        self._awaits_headers = True
        self._requests += 1
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _forget(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket on this port, or on the next free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = port + PORTS_TRIED if port else port + 1
    for candidate in range(port, last):
        try:
            return socket.create_server((host, candidate), family=family, backlog=BACKLOG)
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise ConfigurationError(f"Cannot listen on {host}: {problem}") from problem
    raise ConfigurationError(f"None of the ports {port} to {last - 1} is free on {host}.")
