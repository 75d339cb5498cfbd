"""No secret is in anything that a person or another program gets to see of the runs.

Canaries are planted in every secret there is; then jobs run, some of which fail, and
everything that is kept or shown is searched: both schemas of the database, Dagster's
files and logs, and the answers of its webserver.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from commerce_pipelines.cli.stack import SECRETS_FILE
from commerce_pipelines.cli.stack_programs import LOCATION
from commerce_pipelines.settings import STACK_FILE
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.processes.running import RunningStack, running, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

CANARY = "canary7d1f"
SECRETS = {
    "sanity_token": f"sk{CANARY}sanity",
    "brands_api_key": f"bk_{CANARY}brands",
    "erp_api_key": f"ek_{CANARY}erp",
    "erp_webhook_secret": "whsec_" + b64encode(f"{CANARY}-erp-webhook-1".encode()).decode(),
    "pim_webhook_secret": "whsec_" + b64encode(f"{CANARY}-pim-webhook-1".encode()).decode(),
}
PASSWORD = f"pw{CANARY}postgres"
PLANTED = [*SECRETS.values(), PASSWORD]
# They hold the secrets on purpose, readable by their owner only.
KEEPERS = {SECRETS_FILE, STACK_FILE}

_RUNS = """
{ runsOrError { ... on Runs { results {
    runId jobName status runConfigYaml tags { key value } } } }
  instance { info daemonHealth { allDaemonStatuses { lastHeartbeatErrors { message stack } } } }
  workspaceOrError { ... on Workspace { locationEntries { displayMetadata { key value } } } }
  repositoriesOrError { ... on RepositoryConnection { nodes { allTopLevelResourceDetails {
    name description configFields { name configTypeKey defaultValueAsJson }
    configuredValues { key value } } } } } }"""
_LOGS = """
query ($runId: ID!) { logsForRun(runId: $runId) { ... on EventConnection { events {
  __typename ... on MessageEvent { message }
  ... on ExecutionStepFailureEvent { error { message stack causes { message stack } } }
  ... on DisplayableEvent { label description metadataEntries { label description
    ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString }
    ... on MarkdownMetadataEntry { mdStr } ... on UrlMetadataEntry { url } } } } } } }"""


@pytest.fixture
def stack(tmp_path: Path, empty_postgres_url: str) -> Iterator[RunningStack]:
    """A stack whose every secret is a canary, and whose jobs give up at the first failure."""
    home = tmp_path / "home"
    home.mkdir()
    (home / SECRETS_FILE).write_text(json.dumps(SECRETS))
    url = make_url(empty_postgres_url).set(password=PASSWORD)
    impatient = {"SANITY_PATIENCE_SECONDS": "0", "ERP_PATIENCE_SECONDS": "0"}
    given = {"POSTGRES_URL": url.render_as_string(hide_password=False), **impatient}
    with running(home, **given) as stack:
        yield stack


def test_no_secret_is_kept_or_shown(stack: RunningStack) -> None:
    _run_jobs(stack)

    seen = {
        "the database": _in_database(stack.shop.addresses.postgres),
        "the files": _in_files(stack.home),
        "the webserver": _in_webserver(stack),
    }

    assert seen["the database"][0] > 50
    assert seen["the webserver"][0] > 1_000
    assert {where: found for where, (_, found) in seen.items() if found} == {}


def test_what_is_searched_can_be_found(engine: Engine, tmp_path: Path, postgres_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE canaries AS SELECT :it AS it"), {"it": PASSWORD})
    (tmp_path / "log").write_text(f"... {PASSWORD} ...")

    assert _in_database(postgres_url)[1] == ["canaries"]
    assert _in_files(tmp_path)[1] == ["log"]


def _run_jobs(stack: RunningStack) -> None:
    """Runs every job that speaks with a system: once well, once failing."""
    stack.shop.send_products()
    faults = stack.shop.systems["faults"]["url"]
    for job in ("brand_sync", "erp_product_sync", "saga_recovery"):
        _end(stack, stack.ui.launch(LOCATION, job, {}))
    for system in ("sanity", "brands", "erp"):
        script = {"system": system, "kind": "html_error", "times": None}
        requests.post(faults, json=script, timeout=10).raise_for_status()
    failing = [stack.ui.launch(LOCATION, job, {}) for job in ("brand_sync", "erp_product_sync")]
    stack.shop.send_products([{"title": "Canary"}])
    assert "FAILURE" in {_end(stack, run_id) for run_id in failing}
    until("a failed import", lambda: stack.ask("SELECT 1 FROM saga WHERE status = 'compensated'"))


def _end(stack: RunningStack, run_id: str) -> str:
    return until(f"the end of {run_id}", lambda: stack.ui.end_of(run_id))


def _in_database(url: str) -> tuple[int, list[str]]:
    """Returns how many tables there are, and those with a canary in any row."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            names = connection.execute(
                text("""
                    SELECT quote_ident(schemaname) || '.' || quote_ident(tablename)
                    FROM pg_tables
                    WHERE schemaname !~ '^(pg_|information_schema$)'""")
            )
            tables = [str(name) for name in names.scalars()]
            found = []
            for table in tables:
                # Bytes are shown in hex, so what is in them is looked for in hex too.
                hexes = [each.encode().hex() for each in PLANTED]
                asked = f"""
                    SELECT count(*) FROM {table} AS row
                    WHERE EXISTS (
                        SELECT FROM unnest(CAST(:planted AS text[])) AS one
                        WHERE position(one IN row::text) > 0)"""
                if connection.execute(text(asked), {"planted": PLANTED + hexes}).scalar():
                    found.append(table.removeprefix("public."))
        return len(tables), found
    finally:
        engine.dispose()


def _in_files(home: Path) -> tuple[int, list[str]]:
    """Returns how many files there are, and those with a canary."""
    files = [each for each in home.rglob("*") if each.is_file() and each.name not in KEEPERS]
    found = [each.name for each in files if _has_canary(each.read_bytes())]
    return len(files), found


def _in_webserver(stack: RunningStack) -> tuple[int, list[str]]:
    """Returns how much the webserver said, and the canaries in it."""
    said = _asked(stack, _RUNS, {})
    for run in json.loads(said)["data"]["runsOrError"]["results"]:
        said += _asked(stack, _LOGS, {"runId": run["runId"]})
    return len(said), [each for each in PLANTED if each in said]


def _asked(stack: RunningStack, query: str, variables: dict[str, str]) -> str:
    body = {"query": query, "variables": variables}
    answer = requests.post(f"{stack.ui.url}/graphql", json=body, timeout=60)
    assert not answer.json().get("errors"), answer.text
    return answer.text


def _has_canary(content: bytes) -> bool:
    return any(each.encode() in content for each in PLANTED)
