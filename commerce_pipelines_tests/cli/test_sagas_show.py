"""`sagas show`, `sagas list` and `status`: what of a saga is printed, and for whom."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from commerce_pipelines.cli.saga_report import curl
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.cli.conftest import Ask, Commands

REASON = ("--reason", "the editor agreed", "--who", "nora")


def test_show_prints_all_that_is_needed(run: Commands, parked: str) -> None:
    found = run("sagas", "show", parked, "--json").json()

    assert (found["status"], found["kind"]) == ("parked", "pim_import")
    assert "refer to product-" in found["reason"]
    assert [run_["run_id"] for run_ in found["runs"]] == ["run-1"]
    assert found["messages"][0]["source"] == "pim"
    store, sanity = found["steps"]
    (product,) = store["products"]
    assert (product["now"]["title"], product["before"]) == ("Mug", None)
    assert product["version_written"] == product["version_now"]
    assert (sanity["system"], sanity["state"]) == ("sanity", "parked")
    (document,) = sanity["documents"]
    assert (document["created"], document["before"]) == (True, {})
    assert document["written"]["title"] == document["now"]["title"] == "Mug"
    assert document["now"]["_rev"] == sanity["idem_key"]
    assert sanity["requests"][0]["body"]["mutations"][-1] == {"delete": {"id": document["id"]}}
    assert {event["what"] for event in found["events"]} >= {"running", "done", "parked"}
    assert len(found["decisions"]) == 3


def test_show_prints_the_same_for_people_without_the_token(
    run: Commands, parked: str, settings: dict[str, str]
) -> None:
    said = run("sagas", "show", parked)

    assert said.exit_code == 0
    for part in ("curl -X POST", "$SANITY_SECRET_TOKEN", "sagas resolve", "run-1", "Mug"):
        assert part in said.stdout
    assert settings["SANITY_SECRET_TOKEN"] not in said.stdout


def test_the_first_lines_say_what_is_wrong_and_what_to_do(run: Commands, parked: str) -> None:
    wrong, to_do, _, when, command = run("sagas", "show", parked).stdout.splitlines()[:5]

    assert wrong.startswith(f"Saga {parked} is parked: step 2 (sanity.write_documents)")
    assert "(from page)" in wrong
    assert to_do.startswith("To do: Have that changed in sanity, then retry")
    assert when.startswith("  # the cause is gone")
    assert command == f'  commerce-pipelines sagas retry {parked} --reason "…"'


def test_status_begins_with_what_waits_for_a_person(run: Commands, parked: str) -> None:
    counted, _, wrong, to_do, show = run("status").stdout.splitlines()[:5]

    assert counted == "1 thing waits for a person."
    assert wrong == run("sagas", "show", parked).stdout.splitlines()[0]
    assert to_do.startswith("To do: ")
    assert show == f"  commerce-pipelines sagas show {parked}"


def test_status_says_that_nothing_waits(run: Commands) -> None:
    assert run("status").stdout.splitlines()[0] == "Nothing waits for a person."


def test_a_finished_saga_is_shown_also_when_its_plans_were_deleted(
    run: Commands, parked: str, sweep: Callable[[], None], ledger: Ledger
) -> None:
    run("sagas", "accept", parked, *REASON)
    sweep()
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE saga_step SET plan = '{}', undo_result = NULL"))

    said = run("sagas", "show", parked)

    assert said.stdout.startswith(f"Saga {parked} is compensated; nothing in it waits")
    assert run("status").stdout.startswith("Nothing waits for a person.")


def test_what_a_request_sends_can_be_piped_into_a_program(run: Commands, parked: str) -> None:
    (request,) = run("sagas", "show", parked, "--json").json()["steps"][1]["requests"]
    printed = run("sagas", "show", parked).stdout

    assert f"sagas show {parked} --request {request['id']} |" in printed
    assert run("sagas", "show", parked, "--request", request["id"]).json() == request["body"]
    said = run("sagas", "show", parked, "--request", "2-sent")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "Nothing is left to send as 2-sent" in said.stderr


def test_the_shell_puts_the_token_in_and_does_nothing_with_what_others_have_written() -> None:
    revision = "\"7\" $HOME `id` $(id) 'a' \\ !"
    headers = {"Authorization": "Bearer $ERP_API_KEY", "If-Match": revision}
    url = "http://erp.example/products/a%20b?c='$HOME'"
    command = curl({"method": "PUT", "url": url, "headers": headers, "body": {}})

    said = subprocess.run(
        ["sh", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}\n{command}"],
        env={"ERP_API_KEY": "key-1", "HOME": "/home/anna"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert f"If-Match: {revision}" in said
    assert "Authorization: Bearer key-1" in said
    assert url in said


def test_a_request_holds_every_character_as_it_was(
    run: Commands, ledger: Ledger, sanity: Sanity, ask: Ask
) -> None:
    odd = "Mug\u00a0\u200b\u001b[31m"
    plan = {"documents": [_planned("product-x", odd)]}
    sanity.mutate([{"create": {"_id": "product-x", "_type": "product", "title": "New"}}], "key")
    with ledger.engine.begin() as connection:
        connection.execute(
            text("""INSERT INTO saga (saga_id, kind, lock_key, status)
                    VALUES ('odd', 'pim_import', 'odd', 'parked')""")
        )
        connection.execute(
            text("""INSERT INTO saga_step (saga_id, seq, name, label, idem_key, transactional,
                        state, plan, result, error, intent_epoch, settle_at)
                    VALUES ('odd', 1, 'sanity.write_documents', '', 'key', false, 'parked',
                        CAST(:plan AS jsonb), '{}', 'Unknown: silence', 1, now())"""),
            {"plan": json.dumps(plan)},
        )
    ((request,),) = [
        step["requests"] for step in run("sagas", "show", "odd", "--json").json()["steps"]
    ]

    body = run("sagas", "show", "odd", "--request", request["id"]).json()

    assert body["mutations"][0]["patch"]["set"]["title"] == odd
    assert "\u001b" not in run("sagas", "show", "odd").stdout


def _planned(id_: str, before: str) -> dict[str, Any]:
    written = {"title": "New"}
    return {
        "id": id_,
        "create": False,
        "set": written,
        "seed": {},
        "unset": [],
        "before": {"title": before},
        "revision": "r",
    }


def test_runs_are_links_where_dagster_is_known(settings: dict[str, str], parked: str) -> None:
    run = Commands({**settings, "DAGSTER_URL": "http://dagster.example:3000/"})

    found = run("sagas", "show", parked, "--json").json()

    assert found["runs"][0]["url"] == "http://dagster.example:3000/runs/run-1"


def test_show_tells_that_sanity_cannot_be_asked(settings: dict[str, str], parked: str) -> None:
    run = Commands({**settings, "SANITY_SECRET_TOKEN": "wrong"})

    step = run("sagas", "show", parked, "--json").json()["steps"][1]

    assert "cannot be read" in step["unseen"]
    assert step["documents"][0]["written"]["title"] == "Mug"


def test_list_and_status_show_what_is_parked(run: Commands, parked: str) -> None:
    (listed,) = run("sagas", "list", "--state", "parked", "--json").json()
    status = run("status", "--json").json()

    assert (listed["saga_id"], listed["parked"]) == (parked, ["sanity.write_documents"])
    assert status["sagas"] == {"parked": 1}
    assert status["parked"][0]["saga_id"] == parked
    assert status["messages"] == {"claimed": 1}
    assert status["oldest_unfinished_message_seconds"] >= 0
    for printed in (run("sagas", "list"), run("status")):
        assert parked in printed.stdout
