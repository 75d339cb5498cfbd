"""An order system without any condition of its own, over HTTP.

It knows each reference once and answers a repeated order with the same one, but
a request that comes late is applied late: nothing can keep it out. A second
cancellation is refused, so an undo that does not look first cannot end.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class OrderSystem(AbstractContextManager["OrderSystem"]):
    """Orders by reference.

    Attributes:
        orders: State by reference, `open` or `cancelled`.
        effects: How often each (reference, verb) changed something.
        late_seconds: How long the next orders are applied after their caller has gone.
        busy_after: How many requests are still applied and then answered with 503.
    """

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _routes(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._lock = threading.Lock()
        self._nobody_late = threading.Condition(self._lock)
        self._underway = 0
        self.reset()

    def reset(self) -> None:
        """Forgets everything, after the late orders of before have come."""
        self._await_late_orders()
        self.orders: dict[str, str] = {}
        self.effects: Counter[tuple[str, str]] = Counter()
        self.late_seconds = 0.0
        self.busy_after = 0

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> OrderSystem:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def open_orders(self) -> list[str]:
        """Returns the references of orders that stand, the late ones included."""
        self._await_late_orders()
        return sorted(reference for reference, state in self.orders.items() if state == "open")

    def apply_late(self, hang_up: Callable[[], None], act: Callable[[], object]) -> None:
        """Does what was asked for when its caller has long gone."""
        with self._lock:
            self._underway += 1
        hang_up()
        time.sleep(self.late_seconds)
        act()
        with self._nobody_late:
            self._underway -= 1
            self._nobody_late.notify_all()

    def _await_late_orders(self) -> None:
        with self._nobody_late:
            self._nobody_late.wait_for(lambda: self._underway == 0)

    def place(self, reference: str) -> tuple[int, Any]:
        """Places an order once."""
        with self._lock:
            if reference not in self.orders:
                self.orders[reference] = "open"
                self.effects[reference, "place"] += 1
            return 200, {"reference": reference, "state": self.orders[reference]}

    def find(self, reference: str) -> tuple[int, Any]:
        """Returns an order, or null."""
        state = self.orders.get(reference)
        return 200, {"order": state and {"reference": reference, "state": state}}

    def cancel(self, reference: str) -> tuple[int, Any]:
        """Cancels an order; not twice."""
        with self._lock:
            if self.orders.get(reference) != "open":
                return 409, {"error": "there is no open order with this reference"}
            self.orders[reference] = "cancelled"
            self.effects[reference, "cancel"] += 1
            return 200, {"reference": reference, "state": "cancelled"}


def _routes(system: OrderSystem) -> type[BaseHTTPRequestHandler]:
    class Routes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(*system.find(self.path.rpartition("/")[2]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            act = system.cancel if self.path == "/cancel" else system.place
            if self.path == "/orders" and system.late_seconds:
                self.close_connection = True
                hang_up = partial(self.connection.shutdown, socket.SHUT_RDWR)
                system.apply_late(hang_up, partial(act, body["reference"]))
                return
            status, answer = act(body["reference"])
            if system.busy_after:
                system.busy_after -= 1
                status, answer = 503, {"error": "busy"}
            self._answer(status, answer)

        def _answer(self, status: int, answer: Any) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    return Routes
