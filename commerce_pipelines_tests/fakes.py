"""Hand-written stand-ins with scripted answers and a list of what they were asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Reply:
    """One scripted answer.

    Attributes:
        status: HTTP status.
        body: Bytes as they are, text in UTF-8, anything else as JSON.
        headers: Replace the usual ones of the same name.
        hang_up: Close the connection after this many bytes of the body; None for not.
        silent: Read the request, then never answer.
        answer: Called with the request for a reply that depends on it.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: int | None = None
    silent: bool = False
    answer: Callable[[Received], Reply] | None = None

    def raw(self) -> bytes:
        """Returns the body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the parsed body."""
        return json.loads(self.body)


HANG_UP = Reply(hang_up=0)
SILENCE = Reply(silent=True)


class ScriptedServer:
    """An HTTP server on loopback that answers from a list, in order.

    Attributes:
        url: Its address.
        received: The requests so far.
        before_read: Called with the connection before a request's body is read.
    """

    def __init__(self, *script: Reply) -> None:
        self.received: list[Received] = []
        self.before_read: Callable[[BaseHTTPRequestHandler], None] | None = None
        self._script = list(script)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._request_class())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, *replies: Reply) -> None:
        """Adds to the script."""
        with self._lock:
            self._script.extend(replies)

    def _next(self, received: Received) -> Reply:
        with self._lock:
            self.received.append(received)
            reply = self._script.pop(0) if self._script else Reply(599, "the script is over")
        return reply.answer(received) if reply.answer else reply

    def _request_class(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def do_PATCH(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def _answer(self) -> None:
                if fake.before_read is not None:
                    fake.before_read(self)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = dict(parse_qsl(parts.query))
                reply = fake._next(Received(self.command, parts.path, query, headers, body))
                if reply.silent:
                    fake._over.wait(60)
                    self.close_connection = True
                    return
                self._send(reply)

            def _send(self, reply: Reply) -> None:
                raw = reply.raw()
                self.close_connection = reply.hang_up is not None
                if reply.hang_up == 0:
                    return
                usual = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
                self.send_response(reply.status)
                for name, value in {**usual, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw[: reply.hang_up])

            def log_message(self, format: str, *args: Any) -> None:
                """Keeps quiet."""

        return Request


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps quiet about callers that went away."""


@dataclass
class FakeTime:
    """A clock that only moves when somebody sleeps.

    Attributes:
        now_seconds: What the clock shows.
        slept_seconds: Every sleep so far.
    """

    now_seconds: float = 0.0
    slept_seconds: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Moves the clock at once."""
        self.slept_seconds.append(seconds)
        self.now_seconds += seconds

    def clock(self) -> float:
        """Returns what the clock shows."""
        return self.now_seconds


@dataclass
class CountingBudget:
    """A rate budget that counts."""

    taken: int = 0

    def acquire(self) -> None:
        """Counts."""
        self.taken += 1
