"""What happens to every request and every answer.

Belongs here: the log line, common headers, the last net for faults of ours.
Does not belong here: anything of one route.
"""

from __future__ import annotations

import logging
import time

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commerce_pipelines.endpoint import problems
from commerce_pipelines.endpoint.callers import Callers
from commerce_pipelines.endpoint.problems import ProblemError

_log = logging.getLogger(__name__)


class Edge:
    """The outermost layer of the application.

    Args:
        app: The layer inside.
        callers: Checks where a request comes from.
    """

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app = app
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            self._callers.check_origin(exchange.request)
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.status is not None:
                raise
            if not isinstance(error, ProblemError):
                _log.exception("%s failed", exchange)
            await problems.answer(exchange.request, error)(scope, receive, exchange.send)
        finally:
            _log.info("%s", exchange)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request = Request(scope)
        self.status: int | None = None
        self._receive = receive
        self._send = send
        self._started = time.monotonic()
        self._unread = "transfer-encoding" in self.request.headers or (
            self.request.headers.get("content-length", "0") != "0"
        )

    def __str__(self) -> str:
        # The raw path has its odd characters escaped, and no query, which could hold a secret.
        path = self.request.scope.get("raw_path", b"").decode("ascii", "backslashreplace")
        milliseconds = (time.monotonic() - self._started) * 1000
        return f"{self.request.method} {path} {self.status} {milliseconds:.1f} ms"

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
            if self._unread:
                # Else the server would go on reading a body that nobody wants.
                headers["Connection"] = "close"
        await self._send(message)
