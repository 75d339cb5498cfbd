"""Dagster's UI as a person clicks in it: the same GraphQL requests, sent to the webserver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from commerce_pipelines.cli.stack_programs import LOCATION
from commerce_pipelines.connectors.dagster_webserver import FINISHED

REPOSITORY = "__repository__"

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""
_REEXECUTE = """
mutation ($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""
_TERMINATE = """
mutation ($runId: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $runId, terminatePolicy: $policy) {
    __typename ... on TerminateRunFailure { message } ... on Error { message } } }"""
_STATUS = """
query ($runId: ID!) { runOrError(runId: $runId) { ... on Run { status } } }"""
_EVENTS = """
query ($runId: ID!) {
  logsForRun(runId: $runId) {
    ... on EventConnection {
      events {
        __typename ... on MessageEvent { message stepKey }
        ... on ExecutionStepFailureEvent { failureMetadata { description } }
        ... on DisplayableEvent { metadataEntries { label ... on TextMetadataEntry { text } } } } }
    ... on Error { message } } }"""
_RELOAD = """
mutation { reloadWorkspace { __typename ... on Workspace { locationEntries {
  name locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
_SENSOR = """
query ($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) { ... on Sensor { id } ... on Error { message } } }"""
_STOP_SENSOR = """
mutation ($id: String!) {
  stopSensor(id: $id) { __typename ... on Error { message } } }"""
_START_SENSOR = """
mutation ($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on Error { message } } }"""


@dataclass(frozen=True)
class DagsterUi:
    """The UI of a running stack."""

    url: str

    def launch(self, location: str, job: str, config: Mapping[str, Any]) -> str:
        """Launches a run from the launchpad and returns its id."""
        selector = {"repositoryLocationName": location, "repositoryName": REPOSITORY}
        params = {"selector": {**selector, "jobName": job}, "runConfigData": dict(config)}
        return str(self._ask(_LAUNCH, "LaunchRunSuccess", params=params)["run"]["runId"])

    def reexecute(self, run_id: str, strategy: str) -> str:
        """Re-executes a run, `FROM_FAILURE` or `ALL_STEPS`, and returns the new run's id."""
        params = {"parentRunId": run_id, "strategy": strategy}
        return str(self._ask(_REEXECUTE, "LaunchRunSuccess", params=params)["run"]["runId"])

    def terminate(self, run_id: str, policy: str = "SAFE_TERMINATE") -> None:
        """Terminates a run; `MARK_AS_CANCELED_IMMEDIATELY` is the UI's force."""
        self._ask(_TERMINATE, "TerminateRunSuccess", runId=run_id, policy=policy)

    def status(self, run_id: str) -> str:
        """Returns a run's status."""
        return str(self._ask(_STATUS, runId=run_id)["status"])

    def end_of(self, run_id: str) -> str | None:
        """Returns the status of a run that is over; None before."""
        status = self.status(run_id)
        return status if status in FINISHED else None

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Returns what the run's page shows."""
        return list(self._ask(_EVENTS, runId=run_id)["events"])

    def failures(self, run_id: str) -> list[str]:
        """Returns the sentences that the failed steps show."""
        shown = [event.get("failureMetadata") for event in self.events(run_id)]
        return [each["description"] for each in shown if each]

    def count_retries(self, run_id: str) -> int:
        """Returns how often steps of a run were tried again."""
        shown = [event["__typename"] for event in self.events(run_id)]
        return shown.count("ExecutionStepRestartEvent")

    def worker_pid(self, run_id: str) -> int:
        """Returns the process that Dagster says executes the run."""
        said = " ".join(event.get("message", "") for event in self.events(run_id))
        found = re.search(r"Started process for run \(pid: (\d+)\)", said)
        assert found, "the run has no worker yet"
        return int(found[1])

    def step_pid(self, run_id: str, step: str) -> int:
        """Returns the process that Dagster says executes a step."""
        for event in self.events(run_id):
            if event["__typename"] == "StepWorkerStartedEvent" and step in event["stepKey"]:
                told = {each["label"]: each.get("text") for each in event["metadataEntries"]}
                return int(told["pid"])
        raise AssertionError(f"no process of its own executes {step}")

    def reload(self) -> None:
        """Reloads all code locations, of which each must load."""
        entries = self._ask(_RELOAD, "Workspace")["locationEntries"]
        for entry in entries:
            loaded = entry["locationOrLoadError"]
            assert loaded["__typename"] != "PythonError", loaded

    @contextmanager
    def sensor_stopped(self, name: str) -> Iterator[None]:
        """Switches a sensor off for a while."""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": REPOSITORY,
            "sensorName": name,
        }
        id_ = self._ask(_SENSOR, selector=selector)["id"]
        self._ask(_STOP_SENSOR, "StopSensorMutationResult", id=id_)
        try:
            yield
        finally:
            self._ask(_START_SENSOR, "Sensor", selector=selector)

    def _ask(self, query: str, expected: str | None = None, **variables: Any) -> dict[str, Any]:
        """Returns the one field that a query asks for."""
        answer = requests.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert not answer.get("errors"), answer["errors"]
        (field,) = answer["data"].values()
        assert expected in (None, field.get("__typename")), field
        return dict(field)
