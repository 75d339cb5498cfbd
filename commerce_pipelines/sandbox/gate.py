"""The gate before all imitated systems: shows scripted faults, counts requests.

Belongs here: faults that need not know what a system does. Does not belong
here: which request they meet (`faults.py`). A request that is to be applied is
read whole first, so it is applied also when its caller has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commerce_pipelines.sandbox.faults import ANYWHERE, Fault, FaultKind, Faults
from commerce_pipelines.sandbox.record import Record

CONTROL_PREFIX = "/faults"
_PAGE = (
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
)


class Gate:
    """The application that uvicorn runs, around the systems' own.

    Args:
        app: The systems.
        routes: Their routes; requests are counted by these.
        faults: The script.
        record: Where requests are counted.

    Attributes:
        hang_up: Closes the connection of a peer; the server that runs the gate sets it.
    """

    def __init__(
        self, app: ASGIApp, routes: Sequence[BaseRoute], faults: Faults, record: Record
    ) -> None:
        self._app = app
        self._routes = routes
        self._faults = faults
        self._record = record
        self._late: set[asyncio.Task[None]] = set()
        self.hang_up: Callable[[tuple[str, int]], None] = lambda peer: None

    def forget_late(self) -> None:
        """Lets requests that are to be applied later never be applied."""
        for task in self._late:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through to its system, or shows a fault on it."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        fault = self._faults.take(ANYWHERE, path.split("/")[1], scope["method"], path)
        watched = _Watched(send)
        if fault is None:
            await self._app(scope, receive, watched)
        else:
            await self._show(fault, scope, receive, watched)
        self._record.request(scope["method"], self._route(scope), watched.status)

    def _route(self, scope: Scope) -> str:
        """Returns the route that a request is for, without the ids in it."""
        for route in self._routes:
            if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
                return route.path
        return "unknown"

    async def _show(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(fault)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        replay = await _buffered(receive)
        await _APPLYING[fault.kind](self, fault.seconds or 0.0, scope, replay, receive, send)

    async def _delay(
        self, seconds: float, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        await asyncio.sleep(seconds)
        await self._app(scope, replay, send)

    async def _unavailable_after(
        self, seconds: float, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        await self._app(scope, replay, _nowhere)
        await _unavailable()(scope, receive, send)

    async def _answer_otherwise(
        self, seconds: float, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        await self._app(scope, replay, _nowhere)
        await HTMLResponse(_PAGE)(scope, receive, send)

    async def _answer_half(
        self, seconds: float, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            chunks.append(message.get("body", b""))

        await self._app(scope, replay, keep)
        body = b"".join(chunks)
        half = Response(body[: len(body) // 2], media_type="application/json")
        await half(scope, receive, send)

    async def _lose_answer(
        self, seconds: float, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        await self._app(scope, replay, _nowhere)
        await self._cut(scope, receive)

    async def _apply_late(
        self, seconds: float, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        async def apply() -> None:
            await asyncio.sleep(seconds)
            applied = _Watched(_nowhere)
            await self._app(scope, replay, applied)
            self._record.request(scope["method"], self._route(scope), applied.status)

        task = asyncio.create_task(apply())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        await self._cut(scope, receive)

    async def _cut(self, scope: Scope, receive: Receive) -> None:
        self.hang_up(tuple(scope["client"]))
        # Until the server has noticed, returning without an answer would make it send a 500.
        while (await receive())["type"] != "http.disconnect":
            pass


_Apply = Callable[[Gate, float, Scope, Receive, Receive, Send], Awaitable[None]]
_APPLYING: dict[FaultKind, _Apply] = {
    FaultKind.DELAY: Gate._delay,
    FaultKind.UNAVAILABLE_AFTER: Gate._unavailable_after,
    FaultKind.HTML_ANSWER: Gate._answer_otherwise,
    FaultKind.HALF_ANSWER: Gate._answer_half,
    FaultKind.LOST_ANSWER: Gate._lose_answer,
    FaultKind.LATE: Gate._apply_late,
}


class _Watched:
    """Passes an answer on and remembers its status; 0 means there was none."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _unavailable() -> Response:
    body = {"statusCode": 503, "error": "Service Unavailable", "message": "Service Unavailable"}
    return JSONResponse(body, 503)


def _refusal(fault: Fault) -> Response | None:
    """Returns the answer of a fault that applies nothing; None if it applies."""
    if fault.kind is FaultKind.UNAVAILABLE_BEFORE:
        return _unavailable()
    if fault.kind is FaultKind.HTML_ERROR:
        return HTMLResponse(_PAGE, 502)
    if fault.kind is FaultKind.RATE_LIMITED:
        headers = {"retry-after": f"{fault.seconds or 1:g}", "x-ratelimit-remaining-second": "0"}
        return JSONResponse({"message": "API rate limit exceeded"}, 429, headers)
    return None


async def _nowhere(message: Message) -> None:
    """Sends an answer to nobody."""


async def _buffered(receive: Receive) -> Receive:
    """Reads a request whole and returns what gives it out again."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)

    async def replay() -> Message:
        if chunks:
            body = b"".join(chunks)
            chunks.clear()
            return {"type": "http.request", "body": body, "more_body": False}
        return {"type": "http.disconnect"}

    return replay
