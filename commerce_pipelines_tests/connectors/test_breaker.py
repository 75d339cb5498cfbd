"""When a system is left alone, and when it is asked again."""

from __future__ import annotations

import threading
import time as real_time

import pytest

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import CommerceError, Unavailable
from commerce_pipelines_tests.connectors.conftest import OpenSession
from commerce_pipelines_tests.fakes import HANG_UP, Reply, ScriptedServer

FAILURES = 3
HTML = {"Content-Type": "text/html"}
BUSY = Reply(503, {"error": "busy"})
FINE = Answer("GET /x", 200, body={})
BROKEN = Answer("GET /x", 503)
ONCE = RetryPolicy(budget_seconds=0.0)


def breaker(pause_seconds: float = 60.0) -> Breaker:
    """Returns one that opens soon."""
    return Breaker("The ERP", failures=FAILURES, pause_seconds=pause_seconds)


def open_one(pause_seconds: float) -> Breaker:
    """Returns one that is open."""
    opened = breaker(pause_seconds)
    for _ in range(FAILURES):
        opened.run(lambda: BROKEN)
    return opened


@pytest.fixture
def http(open_session: OpenSession) -> HttpSession:
    """A session with a breaker that stays open."""
    return open_session(retry=ONCE, breaker=breaker())


def ask(http: HttpSession, times: int = 1) -> None:
    """Asks and forgives."""
    for _ in range(times):
        with pytest.raises(Unavailable):
            http.get("/x")


@pytest.mark.parametrize(
    "reply",
    [BUSY, HANG_UP, Reply(200, "<html>", HTML), Reply(502, "<html>", HTML), Reply(200, b'{"a":')],
)
def test_it_opens_after_failures_in_a_row(
    http: HttpSession, server: ScriptedServer, reply: Reply
) -> None:
    server.reply(*[reply] * FAILURES)
    ask(http, FAILURES)

    with pytest.raises(Unavailable, match="left alone") as caught:
        http.get("/x")

    assert len(server.received) == FAILURES
    assert 0 < (caught.value.retry_after_seconds or 0) <= 60


def test_a_success_begins_the_count_anew(http: HttpSession, server: ScriptedServer) -> None:
    server.reply(*[BUSY] * (FAILURES - 1), Reply(), *[BUSY] * (FAILURES - 1), Reply())

    ask(http, FAILURES - 1)
    http.get("/x")
    ask(http, FAILURES - 1)

    assert http.get("/x") == {}


@pytest.mark.parametrize("status", [400, 401, 404, 409, 412, 422, 429])
def test_a_definite_no_never_counts(http: HttpSession, server: ScriptedServer, status: int) -> None:
    server.reply(*[Reply(status, {})] * (2 * FAILURES), Reply())

    for _ in range(2 * FAILURES):
        with pytest.raises(CommerceError):
            http.get("/x")

    assert http.get("/x") == {}


def test_after_the_pause_a_probe_closes_it(server: ScriptedServer) -> None:
    opened = open_one(0.05)
    real_time.sleep(0.1)

    assert opened.run(lambda: FINE) == FINE
    assert opened.run(lambda: BROKEN) == BROKEN
    assert opened.run(lambda: FINE) == FINE


def test_a_probe_that_fails_opens_it_again() -> None:
    opened = open_one(0.2)
    real_time.sleep(0.3)

    assert opened.run(lambda: BROKEN) == BROKEN

    with pytest.raises(Unavailable):
        opened.run(lambda: FINE)


def test_only_one_probes_at_a_time() -> None:
    opened = open_one(0.05)
    real_time.sleep(0.1)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Answer:
        begun.set()
        go_on.wait(10)
        return FINE

    probe = threading.Thread(target=opened.run, args=(slow,))
    probe.start()
    begun.wait(10)

    with pytest.raises(Unavailable):
        opened.run(lambda: FINE)

    go_on.set()
    probe.join()
    assert opened.run(lambda: FINE) == FINE


def test_what_fails_is_told_as_it_is(http: HttpSession, server: ScriptedServer) -> None:
    server.reply(HANG_UP)

    with pytest.raises(Unavailable, match="no whole answer"):
        http.get("/x")
