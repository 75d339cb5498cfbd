"""Dagster's webserver, imitated, and its real schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from commerce_pipelines.connectors.dagster_webserver import (
    LAUNCH,
    REPOSITORIES,
    STATUS,
    TERMINATE,
    DagsterWebserver,
)
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import (
    CommerceError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Unauthorised,
    Unavailable,
    Unknown,
)
from commerce_pipelines_tests.fakes import HANG_UP, Reply, ScriptedServer


def field(name: str, type_name: str, **content: Any) -> Reply:
    """Returns a GraphQL answer of one field."""
    return Reply(body={"data": {name: {"__typename": type_name, **content}}})


def location(name: str, *jobs: str) -> dict[str, Any]:
    return {
        "name": "__repository__",
        "location": {"name": name},
        "jobs": [{"name": job} for job in jobs],
    }


REPOSITORY_LIST = field(
    "repositoriesOrError",
    "RepositoryConnection",
    nodes=[location("elsewhere", "other"), location("commerce", "pim_import", "saga_recovery")],
)
LAUNCHED = field("launchRun", "LaunchRunSuccess", run={"runId": "r1"})


@pytest.fixture
def webserver(server: ScriptedServer, retry: RetryPolicy) -> Iterator[DagsterWebserver]:
    """The connector on the imitation."""
    opened = DagsterWebserver(server.url + "/", retry=retry)
    yield opened
    opened.close()


@pytest.mark.parametrize("query", [REPOSITORIES, LAUNCH, STATUS, TERMINATE])
def test_every_query_fits_the_schema_of_the_installed_dagster(query: str) -> None:
    assert validate(create_schema().graphql_schema, parse(query)) == []


def test_a_job_is_launched_where_it_is_found(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(REPOSITORY_LIST, LAUNCHED)
    run_id = webserver.launch(
        "pim_import", "drain:pim:7", {"dagster/sensor_name": "messages"}, {"ops": {}}
    )
    assert run_id == "r1"
    assert {received.path for received in server.received} == {"/graphql"}
    assert server.received[1].json()["variables"]["params"] == {
        "selector": {
            "repositoryLocationName": "commerce",
            "repositoryName": "__repository__",
            "jobName": "pim_import",
        },
        "runConfigData": {"ops": {}},
        "executionMetadata": {
            "tags": [
                {"key": "dagster/sensor_name", "value": "messages"},
                {"key": "dagster/run_key", "value": "drain:pim:7"},
            ]
        },
    }


def test_the_place_of_a_job_is_looked_up_once(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(REPOSITORY_LIST, LAUNCHED, LAUNCHED, LAUNCHED)
    for job in ("pim_import", "pim_import", "other"):
        webserver.launch(job, "k", {})
    assert len(server.received) == 4


def test_the_place_is_looked_up_again_when_the_job_has_moved(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    gone = field("launchRun", "PipelineNotFoundError", message="gone")
    server.reply(REPOSITORY_LIST, gone, REPOSITORY_LIST, LAUNCHED)
    with pytest.raises(NotFound):
        webserver.launch("pim_import", "k", {})
    assert webserver.launch("pim_import", "k", {}) == "r1"


def test_a_job_that_no_code_location_has_is_not_found(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(REPOSITORY_LIST)
    with pytest.raises(NotFound, match="no job brand_sync"):
        webserver.launch("brand_sync", "k", {})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (field("launchRun", "PythonError", message="why"), Unknown),
        (field("launchRun", "UnauthorizedError", message="why"), Unauthorised),
        (field("launchRun", "RunConflict", message="why"), Conflict),
        (field("launchRun", "InvalidSubsetError", message="why"), Refused),
        (
            field("launchRun", "RunConfigValidationInvalid", errors=[{"message": "why"}]),
            InvalidInput,
        ),
        (Reply(body={"data": None, "errors": [{"message": "why"}]}), Unknown),
        (Reply(body=["why"]), Unknown),
        (Reply(400, {"errors": [{"message": "why"}]}), Refused),
        (Reply(503, "why"), Unknown),
        (HANG_UP, Unknown),
    ],
)
def test_a_launch_that_fails_says_whether_a_run_may_have_started(
    answer: Reply, error: type[CommerceError], server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(REPOSITORY_LIST, answer, LAUNCHED)
    with pytest.raises(CommerceError, match=r"why|sent") as raised:
        webserver.launch("pim_import", "k", {})
    assert type(raised.value) is error
    assert len(server.received) == 2


@pytest.mark.parametrize(
    "answer", [Reply(503), field("repositoriesOrError", "PythonError", message="why")]
)
def test_a_look_up_that_fails_started_nothing(
    answer: Reply, server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(*[answer] * 500)
    with pytest.raises(Unavailable):
        webserver.launch("pim_import", "k", {})


def test_the_status_of_a_run_is_dagsters_own_word(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(Reply(502), field("runOrError", "Run", status="STARTED"))
    assert webserver.run_status("r1") == "STARTED"
    assert server.received[1].json()["variables"] == {"runId": "r1"}


def test_a_run_that_is_not_there_is_not_found(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(
        field("runOrError", "RunNotFoundError", message="no"),
        field("terminateRun", "RunNotFoundError", message="no"),
    )
    with pytest.raises(NotFound):
        webserver.run_status("r1")
    with pytest.raises(NotFound):
        webserver.terminate("r1")


def test_a_run_is_asked_to_end(server: ScriptedServer, webserver: DagsterWebserver) -> None:
    server.reply(field("terminateRun", "TerminateRunSuccess"))
    webserver.terminate("r1")
    assert server.received[0].json()["variables"] == {"runId": "r1"}


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_run_that_has_ended_need_not_be_ended(
    status: str, server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(
        field("terminateRun", "TerminateRunFailure", message="ended"),
        field("runOrError", "Run", status=status),
    )
    webserver.terminate("r1")


def test_a_run_that_cannot_be_ended_is_told(
    server: ScriptedServer, webserver: DagsterWebserver
) -> None:
    server.reply(
        field("terminateRun", "TerminateRunFailure", message="no launcher"),
        field("runOrError", "Run", status="STARTED"),
    )
    with pytest.raises(Refused, match="no launcher"):
        webserver.terminate("r1")
