"""The door closes when too much waits, and senders keep what they have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import Engine, text

from commerce_pipelines.endpoint import door
from commerce_pipelines.endpoint.door import embedded_disk, why_closed
from commerce_pipelines.runtime.postgres import server_url
from commerce_pipelines_tests.endpoint.running import (
    Endpoint,
    as_json,
    bodies,
    problem,
    settings,
    signed,
)

BODY = b'[{"title": "Mug"}]'
MOST = 2


@pytest.fixture
def full(postgres_url: str) -> Iterator[Endpoint]:
    """An endpoint whose inbox has no room left, and that has noticed."""
    rules = settings(postgres_url, messages_most_waiting=MOST, endpoint_unsigned_loopback=True)
    with Endpoint(rules) as endpoint:
        for number in range(MOST):
            as_json(endpoint.deliver(BODY, signed(BODY, id_=f"w{number}")), 202)
        _until(lambda: _import(endpoint, []).status_code == 503)
        yield endpoint


def test_a_new_delivery_is_left_with_its_sender(full: Endpoint, engine: Engine) -> None:
    answers = [
        full.deliver(BODY, signed(BODY, id_="new")),
        _import(full, [{"title": "Pot"}], key="new"),
    ]

    for answer in answers:
        told = problem(answer, 503)
        assert f"{MOST} messages wait" in told["detail"]
        assert answer.headers["Retry-After"] == "60"
    assert len(bodies(engine)) == MOST


def test_a_delivery_that_is_stored_already_is_still_acknowledged(
    full: Endpoint, engine: Engine
) -> None:
    as_json(full.deliver(BODY, signed(BODY, id_="w0")), 202)
    problem(full.deliver(b"[]", signed(b"[]", id_="w0")), 409)
    assert len(bodies(engine)) == MOST


def test_a_forged_delivery_is_told_nothing_of_the_inbox(full: Endpoint) -> None:
    problem(full.deliver(BODY, signed(BODY) | {"webhook-id": "other"}), 401)


def test_the_door_opens_again_by_itself(full: Endpoint, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET state = 'done'"))

    _until(lambda: full.deliver(BODY, signed(BODY, id_="new")).status_code == 202)


def test_a_list_that_is_stored_already_is_still_answered(postgres_url: str, engine: Engine) -> None:
    rules = settings(postgres_url, messages_most_waiting=1, endpoint_unsigned_loopback=True)
    with Endpoint(rules) as endpoint:
        first = as_json(_import(endpoint, [{"title": "Pot"}], key="known"), 202)
        _until(lambda: _import(endpoint, []).status_code == 503)

        assert as_json(_import(endpoint, [{"title": "Pot"}], key="known"), 202) == first
    assert len(bodies(engine)) == 1


def test_little_room_on_the_disk_closes_the_door_too(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection:
        assert why_closed(connection, most_waiting=1, disk=tmp_path) is None
        assert why_closed(connection, most_waiting=1, disk=Path("/proc")) is not None


def test_only_the_disk_of_the_embedded_server_is_watched(tmp_path: Path) -> None:
    sockets = tmp_path / "sockets"
    for made in (sockets, tmp_path / "postgres"):
        made.mkdir()
    (tmp_path / "postgres-socket").symlink_to(sockets)

    embedded = settings(server_url(sockets), commerce_home=tmp_path)
    elsewhere = [
        settings("postgresql://u@127.0.0.1/d", commerce_home=tmp_path),
        settings(server_url(tmp_path / "other"), commerce_home=tmp_path),
    ]

    assert embedded_disk(embedded) == tmp_path / "postgres"
    assert [embedded_disk(each) for each in elsewhere] == [None, None]


def _import(endpoint: Endpoint, products: list[object], key: str = "any") -> requests.Response:
    headers = {"Prefer": "respond-async", "Idempotency-Key": key}
    return endpoint.import_(products, headers)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10 * door.LOOK_SECONDS
    while not true():
        assert time.monotonic() < deadline, "the door did not move"
        time.sleep(0.05)
