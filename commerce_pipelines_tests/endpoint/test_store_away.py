from __future__ import annotations

import socket
import threading

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines_tests.endpoint.running import (
    Endpoint,
    as_json,
    bodies,
    problem,
    settings,
    signed,
)

BODY = b'[{"title": "Mug"}]'


@pytest.mark.parametrize("listening", [False, True], ids=["nobody listens", "nobody answers"])
def test_without_the_store_senders_are_told_to_come_again(*, listening: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listening:
            server.close()
        rules = settings(f"postgresql://u@127.0.0.1:{port}/d", endpoint_unsigned_loopback=True)
        with Endpoint(rules) as endpoint:
            as_json(endpoint.get("/healthz"), 200)
            answers = [
                endpoint.deliver(BODY, signed(BODY)),
                endpoint.import_([{"title": "Mug"}]),
                endpoint.get("/store/products"),
                endpoint.get("/messages/1"),
                endpoint.get("/readyz"),
            ]
    for answer in answers:
        told = problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "127.0.0.1" not in told["detail"]


def test_a_store_that_is_not_migrated_is_not_ready(empty_postgres_url: str) -> None:
    with Endpoint(settings(empty_postgres_url)) as endpoint:
        told = problem(endpoint.get("/readyz"), 503)
    assert "commerce-pipelines migrate" in told["detail"]


def test_the_endpoint_goes_on_when_the_store_has_cut_its_connections(
    endpoint: Endpoint, engine: Engine
) -> None:
    as_json(endpoint.get("/readyz"), 200)
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'endpoint'"
            )
        )
    as_json(endpoint.deliver(BODY, signed(BODY)), 202)


def test_a_delivery_that_the_store_is_too_busy_for_is_taken_the_next_time(
    endpoint: Endpoint, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE message IN ACCESS EXCLUSIVE MODE"))
        answers = []

        def deliver() -> None:
            answers.append(endpoint.deliver(BODY, signed(BODY)))

        senders = [threading.Thread(target=deliver) for _ in range(30)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    for answer in answers:
        problem(answer, 503)
        assert answer.headers["Retry-After"]
    as_json(endpoint.deliver(BODY, signed(BODY)), 202)
    assert bodies(engine) == [BODY]


def test_a_fault_of_ours_is_a_problem_without_its_text(
    endpoint: Endpoint, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE message RENAME TO elsewhere"))
    told = problem(endpoint.deliver(BODY, signed(BODY)), 500)
    assert "message" not in told["detail"]
    assert "UndefinedTable" in caplog.text
    assert "Mug" not in caplog.text
