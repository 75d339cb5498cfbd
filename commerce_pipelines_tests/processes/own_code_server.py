"""A second code location of a running stack: jobs that a user has made of our flow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import commerce_pipelines_tests
from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines.runtime.readiness import answers_port
from commerce_pipelines_tests.processes import own_jobs
from commerce_pipelines_tests.processes.running import RunningStack, until

LOCATION = "own"
HOST = "127.0.0.1"
CHECKOUT = Path(commerce_pipelines_tests.__file__).parents[1]

# A process that is frozen and goes on must still have some when it does.
PATIENCE_SECONDS = "120"


@contextmanager
def own_code_server(stack: RunningStack, log: Path) -> Iterator[None]:
    """Starts a code server of `own_jobs` and shows it to the stack's webserver."""
    port = free_port(0)
    module = ["-m", own_jobs.__name__, "--location-name", LOCATION]
    command = ["-m", "dagster", "api", "grpc", "--host", HOST, "--port", str(port), *module]
    # With the stack's settings and mark, so that what it leaves behind ends with the stack.
    environment = stack.processes("dagster", "api", "grpc")[0].environ()
    with log.open("ab") as output:
        server = subprocess.Popen(
            [sys.executable, *command],
            cwd=CHECKOUT,
            env={**environment, "SANITY_PATIENCE_SECONDS": PATIENCE_SECONDS},
            stdout=output,
            stderr=output,
        )
    try:
        until("the code server", lambda: answers_port(port))
        _show_to_webserver(stack, port)
        yield
    finally:
        server.kill()
        server.wait()


def _show_to_webserver(stack: RunningStack, port: int) -> None:
    workspace = stack.home / "dagster" / "workspace.yaml"
    known = json.loads(workspace.read_text())
    own = {"host": HOST, "port": port, "location_name": LOCATION}
    known["load_from"].append({"grpc_server": own})
    workspace.write_text(json.dumps(known))
    stack.ui.reload()
