"""An endpoint in a thread, a sender that signs, and a worker that imports."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import requests
from sqlalchemy import Engine, text
from standardwebhooks import Webhook

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.endpoint.app import create_app
from commerce_pipelines.endpoint.server import Server, listen
from commerce_pipelines.services.pim_import import PimImport
from commerce_pipelines.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PATIENCE_SECONDS = 60


class Endpoint:
    """An endpoint on a free port while the `with` block lasts.

    Its ERP is the one that the settings say, unless one is given.

    Attributes:
        url: Its address.
    """

    def __init__(self, settings: Settings, erp: Erp | None = None) -> None:
        self._ready = threading.Event()
        self.url = ""
        self._server = Server(create_app(settings, erp), listen("127.0.0.1", 0), self._note)
        self._thread = threading.Thread(target=self._run, name="endpoint", daemon=True)

    def _note(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def _run(self) -> None:
        try:
            self._server.run()
        finally:
            self._ready.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        assert self.url, "the endpoint did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Asks it to stop."""
        self._server.should_exit = True

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.ask("POST", path, **options)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=PATIENCE_SECONDS, **options)

    def import_(self, products: Any, headers: dict[str, str] | None = None) -> requests.Response:
        return self.post("/products", json=products, headers=headers)

    def finished(self, location: str) -> Any:
        """Waits until a message is finished and returns it."""
        while True:
            message = as_json(self.get(location), 200)
            if message["finished_at"]:
                return message
            time.sleep(0.02)

    def connect(self) -> socket.socket:
        """Opens a connection to write on by hand."""
        return socket.create_connection(self.address, timeout=PATIENCE_SECONDS)

    def deliver(
        self, body: bytes, headers: dict[str, str], source: str = "pim"
    ) -> requests.Response:
        return self.post(f"/webhooks/{source}", data=body, headers=headers)


def head(path: str, headers: dict[str, str], *more: str) -> bytes:
    """The head of a POST request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def read_answer(connection: socket.socket) -> bytes:
    """One answer with a JSON body as it comes over the wire; nothing if there is none."""
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
        if _is_json(answer.partition(b"\r\n\r\n")[2]):
            break
    return answer


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def settings(postgres_url: str | None, **others: Any) -> Settings:
    """Settings of an endpoint that wants signatures."""
    usual: dict[str, Any] = {"postgres_url": postgres_url, "pim_webhook_secret": SECRET}
    return Settings(**usual | others)


def signed(
    body: bytes,
    *,
    secret: str = SECRET,
    id_: str = "msg_1",
    at: datetime | None = None,
) -> dict[str, str]:
    """The headers of a delivery, made by the library that senders use."""
    moment = at or datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, moment, body.decode()),
    }


def bodies(engine: Engine) -> list[bytes]:
    """Everything in the inbox."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT body FROM message ORDER BY id")).scalars()
        return [bytes(row) for row in rows]


def as_json(answer: requests.Response, status: int) -> Any:
    """The answer's content, if its status is the expected one."""
    assert answer.status_code == status, answer.text
    return answer.json()


def problem(answer: requests.Response, status: int) -> dict[str, Any]:
    """The problem that an answer holds, if it is one as RFC 9457 has it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.content)
    assert found.keys() >= {"type", "title", "status", "detail", "instance"}
    assert found["status"] == status
    return found


@contextmanager
def working(flow: PimImport) -> Iterator[None]:
    """Imports what waits, in a thread, as a run would."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            while (page := flow.open_page()) is not None:
                flow.store_page(page)
                flow.publish_page(page.saga_id)

    thread = threading.Thread(target=work, name="worker", daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()
