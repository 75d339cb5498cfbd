from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from sqlalchemy import Engine

from commerce_pipelines_tests.endpoint.running import (
    Endpoint,
    as_json,
    bodies,
    head,
    problem,
    read_answer,
    signed,
)

LIMIT = 256 * 1024
WEBHOOK = "/webhooks/pim"

UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \n",
    "not JSON": b"title=Mug",
    "cut short": b'[{"title": "Mug"}',
    "something behind the end": b'[{"title": "Mug"}] x',
    "two documents": b"[] []",
    "NaN": b'[{"title": "Mug", "metadata": {"weight": NaN}}]',
    "Infinity": b'[{"title": "Mug", "metadata": {"weight": -Infinity}}]',
    "a number beyond every double": b'[{"title": "Mug", "metadata": {"weight": 1e999}}]',
    "an integer of 10,000 digits": b'[{"title": "Mug", "metadata": {"n": %s}}]' % (b"9" * 10_000),
    "a key twice": b'[{"title": "Mug", "title": "Cup"}]',
    "nested 33 deep": b"[" * 33 + b"]" * 33,
    "nested 1,000 deep": b"[" * 1_000 + b"]" * 1_000,
    "nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects nested 10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "not UTF-8": b'[{"title": "M\xfcg"}]',
    "UTF-16": '[{"title": "Mug"}]'.encode("utf-16"),
    "a control character": b'[{"title": "M\x01g"}]',
    "a text": b'"Mug"',
    "a number": b"42",
    "null": b"null",
}
NO_LIST: dict[str, bytes] = {
    "a product alone": b'{"title": "Mug"}',
    "no list under products": b'{"products": {"title": "Mug"}}',
    "null under products": b'{"products": null}',
    "an empty object": b"{}",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_not_strict_json_is_refused_by_import(
    local: Endpoint, engine: Engine, body: bytes
) -> None:
    answer = local.post("/products", data=body, headers={"content-type": "application/json"})
    assert problem(answer, 400)["detail"]
    assert bodies(engine) == []


@pytest.mark.parametrize(
    "body",
    [body for name, body in UNREADABLE.items() if name not in {"not UTF-8", "UTF-16"}],
    ids=[name for name in UNREADABLE if name not in {"not UTF-8", "UTF-16"}],
)
def test_what_is_not_strict_json_is_refused_although_rightly_signed(
    endpoint: Endpoint, engine: Engine, body: bytes
) -> None:
    assert problem(endpoint.deliver(body, signed(body)), 400)["detail"]
    assert bodies(engine) == []


@pytest.mark.parametrize("body", NO_LIST.values(), ids=NO_LIST.keys())
def test_json_that_is_no_list_of_products_is_refused(
    local: Endpoint, engine: Engine, body: bytes
) -> None:
    sent = local.post("/products", data=body, headers={"content-type": "application/json"})
    assert "products" in problem(sent, 422)["detail"]
    assert "products" in problem(local.deliver(body, signed(body)), 422)["detail"]
    assert bodies(engine) == []


@pytest.mark.parametrize(
    "members", ['"products": [{}], "total": 1', '"total": {"of": [1]}, "products": [{}]']
)
def test_other_members_beside_the_products_are_no_fault(local: Endpoint, members: str) -> None:
    body = f"{{{members}}}".encode()
    headers = {"content-type": "application/json", "prefer": "respond-async"}
    as_json(local.post("/products", data=body, headers=headers), 202)
    as_json(local.deliver(body, signed(body)), 202)


@pytest.mark.parametrize("depth", range(25, 35))
def test_what_is_let_in_is_never_too_deep_for_the_import(
    local: Endpoint, worker: None, depth: int
) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = [deep]
    product = {"title": "Mug", "metadata": {"deep": deep}}
    body = json.dumps({"products": [product, {"title": "Cup"}]}).encode()
    answers = [
        local.post("/products", data=body, headers={"content-type": "application/json"}),
        local.deliver(body, signed(body)),
    ]
    for answer in answers:
        assert answer.status_code in {201, 202, 400}
        if answer.status_code != 400:
            assert local.finished(answer.headers["Location"])["outcome"]["product_count"] == 2


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"]
)
def test_a_body_of_another_type_is_refused(
    local: Endpoint, engine: Engine, content_type: str
) -> None:
    headers = {"content-type": content_type}
    problem(local.post("/products", data=b"[]", headers=headers), 415)
    problem(local.deliver(b"[]", signed(b"[]") | headers), 415)
    assert bodies(engine) == []


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/cloudevents-batch+json"]
)
def test_every_kind_of_json_is_taken(local: Endpoint, content_type: str) -> None:
    headers = {"content-type": content_type}
    as_json(local.post("/products", data=b"[]", headers=headers), 201)
    as_json(local.deliver(b"[]", signed(b"[]") | headers), 202)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
def test_a_compressed_body_is_refused_unopened(
    local: Endpoint, engine: Engine, coding: str
) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    headers = {"content-type": "application/json", "content-encoding": coding}
    problem(local.post("/products", data=bomb, headers=headers), 415)
    problem(local.deliver(bomb, signed(b"[]") | headers), 415)
    assert bodies(engine) == []


def test_a_webhook_may_be_as_large_as_the_limit(endpoint: Endpoint, engine: Engine) -> None:
    body = b"[" + b" " * (LIMIT - 2) + b"]"
    as_json(endpoint.deliver(body, signed(body)), 202)
    assert bodies(engine) == [body]


def test_a_webhook_that_says_it_is_too_large_is_refused(endpoint: Endpoint, engine: Engine) -> None:
    body = b"[" + b" " * (LIMIT - 1) + b"]"
    problem(endpoint.deliver(body, signed(body)), 413)
    assert bodies(engine) == []


def test_an_endless_webhook_is_cut_off_at_the_limit(endpoint: Endpoint, engine: Engine) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with endpoint.connect() as connection:
        connection.sendall(head(WEBHOOK, signed(b"["), "transfer-encoding: chunked"))
        sent = 0
        try:
            while sent < 2**30:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 2**30
    assert bodies(engine) == []


def test_a_refused_body_is_not_read_to_its_end(endpoint: Endpoint) -> None:
    with endpoint.connect() as connection:
        connection.sendall(head(WEBHOOK, signed(b"["), "content-length: 1000000000"))
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


def test_a_body_that_comes_too_slowly_is_given_up(endpoint: Endpoint, engine: Engine) -> None:
    with endpoint.connect() as connection:
        connection.sendall(head(WEBHOOK, signed(b"[]"), "content-length: 2") + b"[")
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"10 seconds" in answer
    assert bodies(engine) == []


def test_a_sender_that_hangs_up_leaves_nothing(endpoint: Endpoint, engine: Engine) -> None:
    with endpoint.connect() as connection:
        connection.sendall(head(WEBHOOK, signed(b"[]"), "content-length: 2") + b"[")
    as_json(endpoint.get("/healthz"), 200)
    assert bodies(engine) == []
