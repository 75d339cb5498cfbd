"""The programs of a stack: with what each is started, and how it shows that it is ready.

Belongs here: one function a program. Does not belong here: in which order they start, and
what stands in their environment (`stack`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from commerce_pipelines.runtime.children import Service
from commerce_pipelines.runtime.readiness import answers_http, answers_port

LOOPBACK = "127.0.0.1"
LOCATION = "commerce_pipelines"

_PYTHON = [sys.executable, "-m"]

Environment = Mapping[str, str]


def sandbox(environment: Environment, port: int, home: Path) -> Service:
    """Returns the imitations of the outside systems."""
    # Its log is no place for the tokens, which are known here.
    command = [*_PYTHON, "commerce_pipelines", "sandbox", "--quiet"]
    command += ["--port", str(port), "--home", str(home)]
    ready = partial(answers_http, f"http://{LOOPBACK}:{port}/faults")
    return Service("sandbox", command, environment, ready)


def code_server(environment: Environment, port: int) -> Service:
    """Returns what the webserver and the daemon ask for the definitions."""
    module = ["-m", "commerce_pipelines.definitions", "--location-name", LOCATION]
    command = [*_PYTHON, "dagster", "api", "grpc", "--host", LOOPBACK, "--port", str(port), *module]
    return Service("code-server", command, environment, partial(answers_port, port))


def run_server(environment: Environment) -> Service:
    """Returns what the runs are forked from."""
    port = int(environment["RUN_SERVER_PORT"])
    command = [*_PYTHON, "commerce_pipelines.flows.run_server"]
    return Service("run-server", command, environment, partial(answers_port, port))


def webserver(environment: Environment, port: int, workspace: Path) -> Service:
    """Returns Dagster's UI."""
    command = [*_PYTHON, "dagster_webserver", "--host", LOOPBACK, "--port", str(port)]
    command += ["--workspace", str(workspace)]
    ready = partial(answers_http, f"{environment['DAGSTER_URL']}/server_info")
    return Service("webserver", command, environment, ready)


def endpoint(environment: Environment, port: int) -> Service:
    """Returns what takes webhooks and shops' requests."""
    command = [*_PYTHON, "commerce_pipelines", "endpoint"]
    ready = partial(answers_http, f"http://{LOOPBACK}:{port}/readyz")
    return Service("endpoint", command, environment, ready)


def daemon(environment: Environment, workspace: Path) -> Service:
    """Returns Dagster's daemon, which runs schedules and sensors."""
    command = [*_PYTHON, "dagster._daemon", "run", "--workspace", str(workspace)]
    return Service("daemon", command, environment)
