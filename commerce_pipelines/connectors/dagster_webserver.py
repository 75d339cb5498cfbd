"""Dagster's webserver, over its GraphQL API.

Belongs here: starting, watching and ending a run from outside Dagster. Does not
belong here: what runs (`flows`). `dagster` itself is not imported.

The webserver asks for no credentials, so it must listen where only we can reach it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from commerce_pipelines.connectors.http import HttpSession
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

RUN_KEY_TAG = "dagster/run_key"
FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

REPOSITORIES = """
query Repositories {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
    ... on Error { message }
  }
}"""
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}"""
STATUS = """
query Status($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run { status }
    ... on Error { message }
  }
}"""
TERMINATE = """
mutation Terminate($runId: String!) {
  terminateRun(runId: $runId) {
    __typename
    ... on TerminateRunFailure { message }
    ... on Error { message }
  }
}"""

# By the answer's type name; what is not listed is Refused.
_MEANING: dict[str, type[CommerceError]] = {
    "PythonError": Unknown,
    "PipelineNotFoundError": NotFound,
    "RepositoryNotFoundError": NotFound,
    "RunNotFoundError": NotFound,
    "RunConfigValidationInvalid": InvalidInput,
    "RunConflict": Conflict,
    "UnauthorizedError": Unauthorised,
}


class Repository(NamedTuple):
    """Where the webserver has a job."""

    location: str
    name: str


class DagsterWebserver:
    """A Dagster webserver.

    Args:
        url: Its address, as a browser has it.
        retry: How reads are repeated; a launch never is.

    Raises:
        ConfigurationError: The address cannot be used.
    """

    def __init__(self, url: str, *, retry: RetryPolicy | None = None) -> None:
        self._http = HttpSession(url, retry=retry or RetryPolicy(budget_seconds=10.0))
        self._repositories: dict[str, Repository] = {}

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def launch(
        self,
        job_name: str,
        run_key: str,
        tags: Mapping[str, str],
        run_config: Mapping[str, Any] | None = None,
    ) -> str:
        """Starts a run and returns its id.

        Dagster does not refuse a second run with the same key; only its sensors look
        at it, if `tags` name the sensor in `dagster/sensor_name`.

        Args:
            job_name: A job of any code location.
            run_key: What a sensor would give for the same work.
            tags: Other tags.
            run_config: As in the launchpad.

        Raises:
            NotFound: No loaded code location has this job.
            InvalidInput: The config does not fit the job.
            Unknown: The run may have started.
            Unavailable: It has not.
        """
        where = self._repository_of(job_name)
        all_tags = {**tags, RUN_KEY_TAG: run_key}
        params = {
            "selector": {
                "repositoryLocationName": where.location,
                "repositoryName": where.name,
                "jobName": job_name,
            },
            "runConfigData": dict(run_config or {}),
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in all_tags.items()]
            },
        }
        try:
            answer = _expect(self._ask(LAUNCH, {"params": params}), "LaunchRunSuccess")
        except NotFound:
            # The code location has changed: look again next time.
            self._repositories.clear()
            raise
        run_id: str = answer["run"]["runId"]
        return run_id

    def run_status(self, run_id: str) -> str:
        """Returns a run's status as Dagster names it, such as `STARTED`.

        Raises:
            NotFound: There is no such run.
        """
        status: str = self._read(STATUS, {"runId": run_id}, "Run")["status"]
        return status

    def terminate(self, run_id: str) -> None:
        """Asks a run to end; one that has ended stays as it is.

        Raises:
            NotFound: There is no such run.
            Refused: Dagster cannot reach it.
        """
        answer = self._ask(TERMINATE, {"runId": run_id}, repeatable=True)
        if answer["__typename"] == "TerminateRunFailure" and self.run_status(run_id) in FINISHED:
            return
        _expect(answer, "TerminateRunSuccess")

    def _repository_of(self, job_name: str) -> Repository:
        if job_name not in self._repositories:
            self._repositories = self._fetch_repositories()
        if job_name not in self._repositories:
            raise NotFound(f"Dagster has no job {job_name}; has its code location been loaded?")
        return self._repositories[job_name]

    def _fetch_repositories(self) -> dict[str, Repository]:
        answer = self._read(REPOSITORIES, {}, "RepositoryConnection")
        return {
            job["name"]: Repository(node["location"]["name"], node["name"])
            for node in answer["nodes"]
            for job in node["jobs"]
        }

    def _read(self, query: str, variables: Mapping[str, Any], type_name: str) -> dict[str, Any]:
        try:
            return _expect(self._ask(query, variables, reads=True, repeatable=True), type_name)
        except Unknown as error:
            raise Unavailable(str(error)) from error

    def _ask(
        self,
        query: str,
        variables: Mapping[str, Any],
        *,
        reads: bool = False,
        repeatable: bool = False,
    ) -> dict[str, Any]:
        """Returns the one field that a query asks for."""
        answer = self._http.send(
            "POST",
            "/graphql",
            body=json.dumps({"query": query, "variables": variables}).encode(),
            reads=reads,
            repeatable=repeatable,
        )
        fields = answer.body.get("data") if isinstance(answer.body, dict) else None
        field = next(iter(fields.values()), None) if isinstance(fields, dict) else None
        if not isinstance(field, dict) or "__typename" not in field:
            raise Unknown(f"Dagster does not answer as its API says: {answer.excerpt}")
        return field


def _expect(answer: dict[str, Any], type_name: str) -> dict[str, Any]:
    """Returns the answer if it is of this type.

    Raises:
        CommerceError: What its type means.
    """
    if answer["__typename"] == type_name:
        return answer
    errors = answer.get("errors") or [answer]
    reasons = "; ".join(str(error.get("message", "")) for error in errors)
    meaning = _MEANING.get(answer["__typename"], Refused)
    raise meaning(f"Dagster answered {answer['__typename']}: {reasons[:500]}")
