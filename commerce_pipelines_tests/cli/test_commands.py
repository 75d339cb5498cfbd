"""What all commands have in common, and those that only run something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import typer
from sqlalchemy import Engine, text

from commerce_pipelines.cli import app
from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines_tests.cli.conftest import Commands

HEAVY = ["dagster", "pandas", "fastapi", "pyarrow", "sqlalchemy"]


def all_commands() -> list[list[str]]:
    group: Any = typer.main.get_command(app)
    found = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += [[name, one] for one in inner] if inner else [[name]]
    return found


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    said = Commands({})(*command, "--help")

    assert said.exit_code == 0
    assert "Example: " in said.stdout


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom commerce_pipelines.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "Usage" in ran.stdout
    assert ran.stderr.strip() == "[]"


def test_without_a_stack_a_command_says_what_to_do(tmp_path: Path) -> None:
    said = Commands({"COMMERCE_HOME": str(tmp_path)})("status")

    assert said.exit_code == 3
    assert "commerce-pipelines up" in said.stderr
    assert said.stdout == ""


def test_a_store_that_is_away_is_one_line_and_not_the_password(tmp_path: Path) -> None:
    url = f"postgresql://shop:canary-password@/shop?host={tmp_path}"

    said = Commands({"POSTGRES_URL": url})("status")

    assert said.exit_code == 3
    assert "not reachable" in said.stderr
    assert said.stderr.count("\n") == 1
    assert "canary" not in said.stderr


def test_a_store_without_tables_wants_migrate(empty_postgres_url: str) -> None:
    run = Commands({"POSTGRES_URL": empty_postgres_url})

    before = run("sagas", "list")
    migrated = run("migrate", "--json")
    after = run("sagas", "list", "--json")

    assert (before.exit_code, "commerce-pipelines migrate" in before.stderr) == (3, True)
    assert migrated.json()["revision"]
    assert after.json() == []
    assert "newest" in run("migrate").stdout


def test_a_home_names_the_stack_that_runs_there(postgres_url: str, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"postgres_url": postgres_url}))

    said = Commands({})("status", "--home", tmp_path, "--json")

    assert said.json()["messages"] == {}


def test_status_says_how_old_the_price_book_is(postgres_url: str, engine: Engine) -> None:
    run = Commands({"POSTGRES_URL": postgres_url})
    before = run("status", "--json").json()["price_book_seconds"]
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO asked_variant VALUES ('v', now() - interval '2 hours', '{}')")
        )

    assert before is None
    assert "price book is at most 2 h" in run("status").stdout


def test_foreign_text_cannot_command_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"title": title, "sku": "\x1b[2J[red]"} for title in "ab"]))

    said = Commands({})("import", path, "--dry-run")

    assert "\x1b" not in said.stdout
    assert "\N{REPLACEMENT CHARACTER}[2J[red]" in said.stdout


def test_the_module_is_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "commerce_pipelines", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.startswith("Usage: commerce-pipelines")


def test_the_sandbox_prints_its_addresses_on_one_line_and_ends_when_told(run: Commands) -> None:
    with run.running("sandbox", "--port", 0, "--no-rate-limit", "--json") as child:
        assert child.stdout is not None
        addresses = json.loads(child.stdout.readline())

        assert requests.get(addresses["faults"]["url"], timeout=5).json() == []
        assert {"url", "project_id", "dataset", "token"} <= set(addresses["sanity"])
        assert set(addresses["brands"]) == {"url", "api_key"}
        child.terminate()
        assert child.wait(timeout=60) == 0


def test_the_sandbox_never_shows_the_secrets_of_real_systems(settings: dict[str, str]) -> None:
    real = {
        "SANITY_PROJECT_ID": "real",
        "SANITY_SECRET_TOKEN": "canary-token",
        "BRANDS_URL": "https://brands.example.com",
        "BRANDS_API_KEY": "canary-key",
    }
    with Commands({**settings, **real}).running("sandbox", "--port", 0, "--json") as child:
        assert child.stdout is not None
        assert "canary" not in child.stdout.readline()


def test_the_sandbox_keeps_the_key_of_a_brand_system_that_is_itself(
    settings: dict[str, str],
) -> None:
    port = free_port(0)
    own = {"BRANDS_URL": f"http://127.0.0.1:{port}/brands", "BRANDS_API_KEY": "bk_mine"}
    with Commands({**settings, **own}).running("sandbox", "--port", port, "--json") as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["brands"]["api_key"] == "bk_mine"


def test_the_sandbox_of_a_home_keeps_its_tokens_and_documents(
    settings: dict[str, str], tmp_path: Path
) -> None:
    run = Commands(settings)
    document = {"_id": "page", "_type": "page", "title": "kept"}
    for number in range(2):
        with run.running("sandbox", "--port", 0, "--json", "--home", tmp_path) as child:
            assert child.stdout is not None
            sanity = json.loads(child.stdout.readline())["sanity"]
            headers = {"Authorization": f"Bearer {settings['SANITY_SECRET_TOKEN']}"}
            base = f"{sanity['url']}/v2025-02-19/data"
            if number == 0:
                sent = requests.post(
                    f"{base}/mutate/{sanity['dataset']}",
                    json={"mutations": [{"create": document}]},
                    headers=headers,
                    timeout=5,
                )
                sent.raise_for_status()
            else:
                found = requests.get(
                    f"{base}/doc/{sanity['dataset']}/page", headers=headers, timeout=5
                )
                assert found.json()["documents"][0]["title"] == "kept"


def test_the_endpoint_answers_on_its_own(settings: dict[str, str]) -> None:
    own = {"ENDPOINT_PORT": "0", "ENDPOINT_UNSIGNED_LOOPBACK": "true"}
    with Commands({**settings, **own}).running("endpoint", "--json") as child:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"]

        assert requests.get(f"{url}/readyz", timeout=30).status_code == 200
