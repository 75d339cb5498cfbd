from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.connectors.dagster_webserver import DagsterWebserver
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.services.drain import BUCKET_SECONDS
from commerce_pipelines.services.launching import STUCK_SECONDS, Launcher
from commerce_pipelines.services.pim_import import deliver
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, settings, signed
from commerce_pipelines_tests.fakes import FakeTime, Received, Reply, ScriptedServer

PATIENCE_SECONDS = 60
START = datetime(2026, 1, 1, tzinfo=UTC)
BODY = b'[{"title": "Mug"}]'


class FakeDagster:
    """A webserver with one job, whose runs are in the state that a test says.

    Attributes:
        launched: Run keys, in order.
        tags: Of each launched run.
        watched: How often a run's status was asked for.
        status: Of every run.
    """

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.tags: list[dict[str, str]] = []
        self.watched = 0
        self.status = "STARTED"
        self._asked = threading.Semaphore(0)
        self.server = ScriptedServer(*[Reply(answer=self._answer)] * 1_000)

    def _answer(self, received: Received) -> Reply:
        asked, answer = received.json(), dict[str, Any]()
        if "Launch" in asked["query"]:
            tags = asked["variables"]["params"]["executionMetadata"]["tags"]
            self.tags.append({tag["key"]: tag["value"] for tag in tags})
            self.launched.append(self.tags[-1]["dagster/run_key"])
            run = {"runId": f"run-{len(self.launched)}"}
            answer = {"launchRun": {"__typename": "LaunchRunSuccess", "run": run}}
        elif "Status" in asked["query"]:
            self.watched += 1
            answer = {"runOrError": {"__typename": "Run", "status": self.status}}
        else:
            node = {"name": "r", "location": {"name": "l"}, "jobs": [{"name": "pim_import"}]}
            connection = {"__typename": "RepositoryConnection", "nodes": [node]}
            answer = {"repositoriesOrError": connection}
        self._asked.release()
        return Reply(body={"data": answer})

    def wait_until_launched(self, times: int) -> None:
        self._wait_until(lambda: len(self.launched) >= times)

    def wait_until_watched(self, times: int) -> None:
        self._wait_until(lambda: self.watched >= times)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            assert time.monotonic() < deadline, "the launcher does not ask"
            self._asked.acquire(timeout=1)


@pytest.fixture
def dagster() -> Iterator[FakeDagster]:
    fake = FakeDagster()
    with fake.server:
        yield fake


@contextmanager
def launching(engine: Engine, url: str, fake: FakeTime) -> Iterator[Launcher]:
    webserver = DagsterWebserver(url, retry=RetryPolicy(budget_seconds=0.1))
    launcher = Launcher(
        engine, webserver, clock=fake.clock, now=lambda: START + timedelta(seconds=fake.clock())
    )
    launcher.start()
    yield launcher
    launcher.stop()
    webserver.close()


def put(engine: Engine, webhook_id: str) -> None:
    with engine.begin() as connection:
        deliver(connection, "pim", webhook_id, [{"title": webhook_id}])


def finish_all(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET state = 'done', finished_at = now()"))


def test_a_stored_webhook_starts_an_import_that_counts_for_the_sensor(
    postgres_url: str, dagster: FakeDagster
) -> None:
    with Endpoint(settings(postgres_url, dagster_url=dagster.server.url)) as endpoint:
        id_ = as_json(endpoint.deliver(BODY, signed(BODY)), 202)["id"]
        dagster.wait_until_launched(1)
    topic, _, *rest = dagster.launched[0].removeprefix("drain:").split(":")
    assert (topic, rest) == ("products", [str(id_), "0"])
    assert dagster.tags[0]["dagster/sensor_name"] == "pim_messages"


def test_many_messages_start_one_import(engine: Engine, dagster: FakeDagster) -> None:
    fake = FakeTime()
    with launching(engine, dagster.server.url, fake) as launcher:
        for number in range(50):
            put(engine, f"w{number}")
            launcher.wake()
        dagster.wait_until_launched(1)
        fake.sleep(BUCKET_SECONDS)
        dagster.wait_until_watched(2)
    assert len(dagster.launched) == 1


def test_what_was_stored_while_nobody_ran_is_started_first(
    engine: Engine, dagster: FakeDagster
) -> None:
    put(engine, "w1")
    with launching(engine, dagster.server.url, FakeTime()):
        dagster.wait_until_launched(1)


def test_what_comes_after_an_import_has_ended_starts_another(
    engine: Engine, dagster: FakeDagster
) -> None:
    put(engine, "w1")
    with launching(engine, dagster.server.url, FakeTime()) as launcher:
        dagster.wait_until_launched(1)
        finish_all(engine)
        put(engine, "w2")
        launcher.wake()
        dagster.wait_until_watched(1)
        assert len(dagster.launched) == 1
        dagster.status = "SUCCESS"
        dagster.wait_until_launched(2)
    assert dagster.launched[0] != dagster.launched[1]


def test_a_run_that_claims_nothing_is_not_waited_for(engine: Engine, dagster: FakeDagster) -> None:
    fake = FakeTime()
    put(engine, "w1")
    with launching(engine, dagster.server.url, fake):
        dagster.wait_until_launched(1)
        fake.sleep(BUCKET_SECONDS)
        dagster.wait_until_watched(1)
        fake.sleep(2 * STUCK_SECONDS)
        dagster.wait_until_launched(2)
    assert dagster.launched[0].split(":")[3:] == dagster.launched[1].split(":")[3:]


def test_nothing_due_starts_nothing(engine: Engine, dagster: FakeDagster) -> None:
    put(engine, "w1")
    finish_all(engine)
    with launching(engine, dagster.server.url, FakeTime()) as launcher:
        launcher.wake()
    assert dagster.launched == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [(None, "DAGSTER_URL is not set"), ("http://127.0.0.1:1", "POST /graphql found no connection")],
)
def test_without_dagster_webhooks_are_taken_and_one_warning_is_given(
    postgres_url: str, url: str | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Endpoint(settings(postgres_url, dagster_url=url)) as endpoint:
        for number in range(5):
            as_json(endpoint.deliver(BODY, signed(BODY, id_=f"w{number}")), 202)
        while reason not in caplog.text:
            pass
    assert caplog.text.count(reason) == 1
