"""Running the sandbox: in the foreground for people, in a thread for tests.

Belongs here: the port, signals, the server's thread. Does not belong here: what
is served.
"""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType

import uvicorn

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.app import SandboxOptions, build

HOST = "127.0.0.1"
PORTS_TRIED = 100
_SHUTDOWN_SECONDS = 2

__all__ = ["RunningSandbox", "SandboxOptions", "serve"]

Addresses = dict[str, dict[str, str]]


def serve(options: SandboxOptions, on_ready: Callable[[Addresses], None]) -> None:
    """Runs the sandbox until SIGTERM or SIGINT, then returns.

    Args:
        options: What is served, and where.
        on_ready: Gets the addresses and secrets as soon as connections are accepted.

    Raises:
        ConfigurationError: No port is free, or the seed file is not usable.
    """
    server = _Server(options, on_ready)

    # uvicorn raises the signal again after a clean stop; without this it would end us with it.
    def already_stopped(number: int, frame: FrameType | None) -> None:
        del number, frame

    previous = {each: signal.signal(each, already_stopped) for each in _SIGNALS}
    try:
        server.run()
    finally:
        for each, action in previous.items():
            signal.signal(each, action)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class RunningSandbox(AbstractContextManager["RunningSandbox"]):
    """A sandbox in a thread of this process, while the `with` block lasts.

    Args:
        options: As for `serve`; any free port if not given.

    Attributes:
        addresses: What `serve` hands to `on_ready`.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.addresses: Addresses = {}
        self._ready = threading.Event()
        self._server = _Server(options or SandboxOptions(port=0), self._note)
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def _note(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self._ready.set()

    def _run(self) -> None:
        try:
            self._server.run()
        finally:
            self._ready.set()

    def __enter__(self) -> RunningSandbox:
        self._thread.start()
        self._ready.wait()
        if not self.addresses:
            raise ConfigurationError("The sandbox did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()


class _Server(uvicorn.Server):
    """uvicorn on a socket of our own, which tells when it is ready."""

    def __init__(self, options: SandboxOptions, on_ready: Callable[[Addresses], None]) -> None:
        self._application = build(options)
        self._application.gate.hang_up = self._hang_up
        self._on_ready = on_ready
        self._listener = _listen(options.port)
        config = uvicorn.Config(
            self._application.gate,
            log_level="warning",
            access_log=False,
            ws="none",
            # Faults close connections by the peer's address, which no header may change.
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until told to stop, then closes everything."""
        try:
            super().run(sockets=sockets or [self._listener])
        finally:
            self._listener.close()
            self._application.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts accepting connections and says so."""
        await super().startup(sockets)
        port = self._listener.getsockname()[1]
        self._on_ready(self._application.addresses(f"http://{HOST}:{port}"))

    def _hang_up(self, peer: tuple[str, int]) -> None:
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == peer:
                connection.transport.close()


def _listen(port: int) -> socket.socket:
    """Returns a listening socket on this port, or on the next free one."""
    last = port + PORTS_TRIED if port else port + 1
    for candidate in range(port, last):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(2048)
        except OSError as problem:
            listener.close()
            if problem.errno != errno.EADDRINUSE:
                raise
        else:
            return listener
    raise ConfigurationError(f"None of the ports {port} to {last - 1} is free")
