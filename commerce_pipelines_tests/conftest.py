"""The test ground: a clean environment, one PostgreSQL a run, a database a test.

Belongs here: what tests of more than one folder stand on. The server is started
before any worker of pytest-xdist, which are handed its address, and is stopped
after the last of them; the kernel stops it too if this run is killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine

from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.runtime.postgres import EmbeddedPostgres
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines.settings import Settings
from commerce_pipelines.store.engine import connect
from commerce_pipelines.store.schema import migrate
from commerce_pipelines_tests.case_counts import CASES, Note, counted
from commerce_pipelines_tests.databases import MIGRATED, Databases

_OF_THIS_PROJECT = ("COMMERCE_", "DAGSTER_", "ENDPOINT_", "PG", "PIM_", "POSTGRES_", "SANITY_")

# The same examples each time, no clock, no files: what fails here fails everywhere.
hypothesis_settings.register_profile(
    "tests",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.load_profile("tests")

_server_url = pytest.StashKey[str]()
_server = pytest.StashKey[tuple[EmbeddedPostgres, Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Scrubs the environment and starts the server, unless this is a worker."""
    _scrub_environment()
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[_server_url] = given["server_url"]
    elif not (config.option.collectonly or config.option.help or config.option.version):
        home = Path(tempfile.mkdtemp(prefix="commerce-tests-"))
        server = EmbeddedPostgres(home, durable=False, tether=True)
        config.stash[_server] = (server, home)
        server.start()
        config.stash[_server_url] = server.url()
        server.create_database(MIGRATED)
        _migrate(server.url(MIGRATED))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hands the server's address to a worker."""
    node.workerinput["server_url"] = node.config.stash[_server_url]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Shows how many cases there were where a test does many."""
    reports = [each for kind in terminalreporter.stats.values() for each in kind]
    counts = counted(reports)
    if counts:
        terminalreporter.section(f"{sum(count for count, _ in counts)} cases")
        for count, what in counts:
            terminalreporter.write_line(f"{count:6} {what}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the server and deletes its files."""
    if _server in config.stash:
        server, home = config.stash[_server]
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)


def _scrub_environment() -> None:
    ours = {name.upper() for name in Settings.model_fields}
    for name in list(os.environ):
        if name.upper() in ours or name.upper().startswith(_OF_THIS_PROJECT):
            del os.environ[name]


def _migrate(url: str) -> None:
    engine = connect(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture(scope="session", autouse=True)
def no_stack_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps tests away from a stack that runs in the current directory."""
    os.environ["COMMERCE_HOME"] = str(tmp_path_factory.mktemp("no-stack"))


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Notes how many cases a test did, for the sum at the end of the run."""
    return lambda count, what: record_property(CASES, (count, what))


@pytest.fixture(scope="session")
def server_url(pytestconfig: pytest.Config) -> str:
    """The address of a database on the run's server, to make others from."""
    return pytestconfig.stash[_server_url]


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of this worker."""
    databases = Databases(server_url)
    yield databases
    databases.close()


@pytest.fixture
def empty_postgres_url(databases: Databases) -> Iterator[str]:
    """The address of a database with nothing in it."""
    with databases.empty() as url:
        yield url


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The address of a database with the newest schema and no rows, of this test alone."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Connections to the test's database."""
    engine = connect(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """The ledger in the test's database."""
    return Ledger(engine)


@pytest.fixture(scope="session")
def lasting_sandbox() -> Iterator[RunningSandbox]:
    """The outside systems on a free port, without rate limits; of all tests of this worker."""
    with RunningSandbox(SandboxOptions(port=0, rate_limit=False)) as running:
        yield running


@pytest.fixture
def sandbox(lasting_sandbox: RunningSandbox) -> RunningSandbox:
    """The outside systems as if nobody had used them."""
    for what in ("", "/state", "/effects"):
        url = lasting_sandbox.addresses["faults"]["url"] + what
        requests.delete(url, timeout=10).raise_for_status()
    return lasting_sandbox


@pytest.fixture
def sanity(sandbox: RunningSandbox) -> Iterator[Sanity]:
    """The sandbox's Sanity, given up on after a second."""
    opened = Sanity.open(
        **sandbox.addresses["sanity"],
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=1.0, first_wait_seconds=0.01, longest_wait_seconds=0.1),
    )
    yield opened
    opened.close()
