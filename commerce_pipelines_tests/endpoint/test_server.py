from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import requests

from commerce_pipelines_tests.endpoint.running import (
    SECRET,
    Endpoint,
    as_json,
    problem,
    read_answer,
)


@contextmanager
def started(**environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "commerce_pipelines_tests.endpoint.program"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def address_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_connections_open(postgres_url: str, number: int) -> None:
    with (
        started(POSTGRES_URL=postgres_url, ENDPOINT_PORT="0", PIM_WEBHOOK_SECRET=SECRET) as child,
        requests.Session() as session,
    ):
        as_json(session.get(address_of(child) + "/readyz", timeout=60), 200)
        child.send_signal(number)
        assert child.wait(timeout=60) == 0


def test_the_next_free_port_is_taken_and_told(postgres_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        with started(
            POSTGRES_URL=postgres_url, ENDPOINT_PORT=str(wanted), PIM_WEBHOOK_SECRET=SECRET
        ) as child:
            found = int(address_of(child).rpartition(":")[2])
    assert wanted < found <= wanted + 100


def test_it_tells_why_it_does_not_start(postgres_url: str) -> None:
    with started(POSTGRES_URL=postgres_url) as child:
        assert child.stderr is not None
        assert "PIM_WEBHOOK_SECRET" in child.stderr.read()
        assert child.wait(timeout=60) != 0


def test_headers_that_come_too_slowly_are_given_up(endpoint: Endpoint) -> None:
    with endpoint.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        assert read_answer(connection) == b""


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: "])
def test_headers_that_never_end_are_refused(endpoint: Endpoint, begun: bytes) -> None:
    with endpoint.connect() as connection:
        connection.sendall(begun)
        sent = 0
        with suppress(OSError):
            while sent < 2**30:
                connection.sendall(b"x" * 1_000)
                sent += 1_000
    assert sent < 2**30


def test_a_connection_is_kept_for_the_next_request_whose_headers_have_their_own_time(
    endpoint: Endpoint,
) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with endpoint.connect() as connection:
        connection.sendall(whole)
        assert b"200 OK" in connection.recv(65536)
        connection.sendall(whole + whole[:20])
        assert b"200 OK" in connection.recv(65536)
        assert read_answer(connection) == b""


def test_an_answer_tells_nothing_of_the_server_and_is_not_kept(endpoint: Endpoint) -> None:
    answer = endpoint.get("/healthz")
    assert "Server" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_log_names_requests_without_what_they_hold(
    local: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    problem(local.import_({"canary": "canary"}, {"idempotency-key": "canary"}), 422)
    problem(local.get("/no%0Aline?token=canary"), 404)
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "POST /products 422" in text
    assert "GET /no%0Aline 404" in text
    assert "canary" not in text
