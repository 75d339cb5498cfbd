"""One session with one system, against a real server."""

from __future__ import annotations

import gzip
import socket
import time as real_time
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.errors import (
    CommerceError,
    ConfigurationError,
    Conflict,
    NotFound,
    Refused,
    Unauthorised,
    Unavailable,
    Unknown,
)
from commerce_pipelines_tests.connectors.conftest import TOKEN, OpenSession
from commerce_pipelines_tests.fakes import HANG_UP, SILENCE, FakeTime, Reply, ScriptedServer


def post(session: HttpSession, **options: Any) -> Any:
    return session.send("POST", "/things", body=b"{}", **options).body


def test_a_success_returns_the_parsed_body(
    server: ScriptedServer, open_session: OpenSession
) -> None:
    server.reply(Reply(body={"a": [1]}))
    assert open_session(server.url + "/v1/").get("/things", {"q": "ä b"}) == {"a": [1]}
    (received,) = server.received
    assert (received.method, received.path, received.query) == ("GET", "/v1/things", {"q": "ä b"})
    assert received.headers["authorization"] == f"Bearer {TOKEN}"
    assert received.headers["user-agent"] == "commerce-pipelines"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Refused),
        (400, Refused),
        (401, Unauthorised),
        (402, Refused),
        (403, Unauthorised),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (413, Refused),
        (422, Refused),
        (429, Unavailable),
        (500, Unknown),
        (502, Unknown),
        (503, Unknown),
        (504, Unknown),
        (599, Unknown),
    ],
)
def test_a_status_means_one_error(
    status: int, error: type[CommerceError], server: ScriptedServer, open_session: OpenSession
) -> None:
    server.reply(Reply(status, {"message": "why"}, {"Location": "/elsewhere"}))
    with pytest.raises(CommerceError, match=f"POST /things answered {status}: .*why") as raised:
        post(open_session())
    assert type(raised.value) is error
    assert len(server.received) == 1


def test_a_wait_that_is_asked_for_is_in_the_error(
    server: ScriptedServer, open_session: OpenSession
) -> None:
    server.reply(Reply(429, headers={"Retry-After": "7"}))
    with pytest.raises(Unavailable) as raised:
        post(open_session())
    assert raised.value.retry_after_seconds == 7.0


def test_a_request_may_have_headers_of_its_own(
    server: ScriptedServer, open_session: OpenSession
) -> None:
    server.reply(Reply(), Reply())
    session = open_session()
    post(session, headers={"Idempotency-Key": "k1"})
    post(session)
    one, other = server.received
    assert (one.headers["idempotency-key"], one.headers["content-type"]) == (
        "k1",
        "application/json",
    )
    assert "idempotency-key" not in other.headers
    with pytest.raises(ConfigurationError, match="Idempotency-Key"):
        post(session, headers={"Idempotency-Key": "a\nb"})
    assert len(server.received) == 2


def test_a_redirect_is_never_followed(server: ScriptedServer, open_session: OpenSession) -> None:
    server.reply(Reply(307, headers={"Location": server.url + "/stolen"}), Reply())
    with pytest.raises(Refused):
        open_session().get("/things")
    assert [received.path for received in server.received] == ["/things"]


def test_no_connection_means_nothing_was_sent(open_session: OpenSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match="nothing was sent"):
            post(open_session(closed))


@pytest.mark.parametrize(
    "reply",
    [
        HANG_UP,
        SILENCE,
        Reply(body={"a": "b" * 99}, hang_up=10),
        Reply(body='{"a": ', headers={"Content-Type": "application/json"}),
        Reply(body="<html>Welcome</html>", headers={"Content-Type": "text/html"}),
        Reply(body=b"\xff\xfe\x00", headers={"Content-Encoding": "gzip"}),
    ],
    ids=["hung up", "silent", "cut off", "half JSON", "HTML", "broken compression"],
)
def test_without_a_whole_answer_the_effect_is_unknown_and_a_read_had_none(
    reply: Reply, server: ScriptedServer, open_session: OpenSession
) -> None:
    session = open_session(read_timeout_seconds=0.5)
    server.reply(reply, reply, reply)
    with pytest.raises(Unknown):
        post(session)
    with pytest.raises(Unavailable):
        session.send("GET", "/things")
    with pytest.raises(Unavailable):
        post(session, reads=True)


def test_an_endless_trickle_is_cut(server: ScriptedServer, open_session: OpenSession) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b" ")
            real_time.sleep(0.1)

    server.before_read = trickle
    with pytest.raises(Unknown, match="ReadTimeout"):
        post(open_session(read_timeout_seconds=0.5))


def test_a_large_body_may_take_longer_to_send_than_a_connection_to_open(
    server: ScriptedServer, open_session: OpenSession
) -> None:
    def read_slowly(request: BaseHTTPRequestHandler) -> None:
        for _ in range(20):
            request.rfile.read(800_000)
            real_time.sleep(0.1)
        request.headers.replace_header("Content-Length", "0")

    server.before_read = read_slowly
    server.reply(Reply())
    session = open_session(connect_timeout_seconds=0.5)
    assert session.send("POST", "/things", body=b"x" * 16_000_000).status == 200


@pytest.mark.parametrize("compressed", [False, True])
def test_an_answer_beyond_the_limit_is_not_read(
    compressed: bool, server: ScriptedServer, open_session: OpenSession
) -> None:
    raw = b'"%b"' % (b"x" * 5_000_000)
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    reply = Reply(body=gzip.compress(raw) if compressed else raw, headers=headers)
    session = open_session(max_answer_bytes=100_000)
    server.reply(reply, reply)
    with pytest.raises(Refused, match="more than we read"):
        session.get("/things")
    with pytest.raises(Unknown):
        post(session)


def test_an_error_page_is_a_short_excerpt(
    server: ScriptedServer, open_session: OpenSession
) -> None:
    page = "<html><title>502 Bad Gateway</title>" + "<p>nginx</p>" * 1_000
    server.reply(Reply(502, page, {"Content-Type": "text/html"}))
    with pytest.raises(Unknown) as raised:
        post(open_session())
    text = str(raised.value)
    assert "502 Bad Gateway nginx" in text
    assert len(text) < 300
    assert "<" not in text


def test_no_secret_shows_in_an_error_or_repr(
    server: ScriptedServer, open_session: OpenSession
) -> None:
    server.reply(Reply(400, {"you sent": f"Bearer {TOKEN}"}), HANG_UP)
    session = open_session()
    for _ in range(2):
        with pytest.raises(CommerceError) as raised:
            post(session)
        assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert TOKEN not in repr(session)


@pytest.mark.parametrize("value", [f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\r\nX: y", f"ü{TOKEN}"])
def test_a_secret_that_cannot_be_sent_is_refused_without_showing_it(
    value: str, open_session: OpenSession
) -> None:
    with pytest.raises(ConfigurationError, match="Authorization") as raised:
        open_session(secret_headers={"Authorization": value})
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "ftp://example.com", "http://", "http://a:p4ss@example.com", "http://a:b"],
)
def test_an_address_that_is_none_is_refused_without_showing_it(
    url: str, open_session: OpenSession
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        HttpSession(url)
    assert "p4ss" not in str(raised.value)


def test_netrc_proxies_and_cookies_change_nothing(
    server: ScriptedServer,
    open_session: OpenSession,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    session = open_session()
    server.reply(Reply(headers={"Set-Cookie": "a=b"}), Reply())
    session.get("/things")
    session.get("/things")
    assert server.received[1].headers["authorization"] == f"Bearer {TOKEN}"
    assert "cookie" not in server.received[1].headers


def test_a_repeatable_call_is_repeated_until_it_succeeds(
    server: ScriptedServer, open_session: OpenSession, time: FakeTime
) -> None:
    attempts: list[None] = []
    server.reply(Reply(503), Reply(429, headers={"Retry-After": "4"}), HANG_UP, Reply(body=[1]))
    session = open_session()
    assert post(session, repeatable=True, before_attempt=lambda: attempts.append(None)) == [1]
    assert len(attempts) == len(server.received) == 4
    assert len({received.body for received in server.received}) == 1
    assert time.slept_seconds[1] >= 4.0


def test_another_call_is_sent_once(server: ScriptedServer, open_session: OpenSession) -> None:
    server.reply(Reply(503), Reply())
    with pytest.raises(Unknown):
        post(open_session())
    assert len(server.received) == 1


def test_a_refusal_is_not_repeated(server: ScriptedServer, open_session: OpenSession) -> None:
    server.reply(Reply(400), Reply())
    with pytest.raises(Refused):
        open_session().get("/things")
    assert len(server.received) == 1
