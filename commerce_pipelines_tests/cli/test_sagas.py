"""`sagas retry`, `accept` and `resolve`: a parked saga is finished in each of the three ways."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines_tests.cli.conftest import Ask, Commands

REASON = ("--reason", "the editor agreed", "--who", "nora")


def test_retry_undoes_the_saga_when_the_obstacle_is_gone(
    run: Commands, parked: str, sanity: Sanity, sweep: Callable[[], None], ask: Ask
) -> None:
    sanity.mutate([{"delete": {"id": "page"}}], "page-deleted")

    said = run("sagas", "retry", parked, *REASON, "--json")
    sweep()

    assert said.json() == {"saga_id": parked, "status": "aborting"}
    assert ask("SELECT status FROM saga") == [("compensated",)]
    assert ask("SELECT count(*) FROM product") == [(0,)]
    assert ask("SELECT what, who, note FROM saga_event WHERE who = 'nora'") == [
        ("retry", "nora", "the editor agreed")
    ]


def test_retry_while_the_obstacle_is_there_parks_the_saga_again(
    run: Commands, parked: str, sweep: Callable[[], None], ask: Ask
) -> None:
    run("sagas", "retry", parked, *REASON)
    sweep()

    assert ask("SELECT status FROM saga") == [("parked",)]


def test_accept_leaves_the_document_and_undoes_the_rest(
    run: Commands, parked: str, sanity: Sanity, sweep: Callable[[], None], ask: Ask
) -> None:
    document = run("sagas", "show", parked, "--json").json()["steps"][1]["documents"][0]["id"]

    run("sagas", "accept", parked, *REASON, "--step", 2)
    sweep()

    assert ask("SELECT state FROM saga_step ORDER BY seq") == [("undone",), ("superseded",)]
    assert ask("SELECT status FROM saga") == [("compensated",)]
    assert ask("SELECT count(*) FROM product") == [(0,)]
    assert document in sanity.fetch_documents([document])


def test_resolve_after_the_printed_requests_were_sent(
    run: Commands,
    parked: str,
    sanity: Sanity,
    sweep: Callable[[], None],
    ask: Ask,
    settings: dict[str, str],
) -> None:
    sanity.mutate([{"delete": {"id": "page"}}], "page-deleted")
    step = run("sagas", "show", parked, "--json").json()["steps"][1]
    for request in step["requests"]:
        told = json.dumps(request["headers"])
        headers = told.replace("$SANITY_SECRET_TOKEN", settings["SANITY_SECRET_TOKEN"])
        sent = requests.request(
            request["method"],
            request["url"],
            headers=json.loads(headers),
            json=request["body"],
            timeout=5,
        )
        sent.raise_for_status()

    run("sagas", "resolve", parked, *REASON)
    sweep()

    assert sanity.fetch_documents([step["documents"][0]["id"]]) == {}
    assert ask("SELECT state FROM saga_step ORDER BY seq") == [("undone",), ("undone",)]
    assert ask("SELECT status FROM saga") == [("compensated",)]


def test_a_decision_fences_whoever_worked_on_the_saga_before(
    run: Commands, parked: str, ask: Ask
) -> None:
    ((before,),) = ask("SELECT epoch FROM saga")

    run("sagas", "retry", parked, *REASON)

    assert ask("SELECT epoch FROM saga") == [(before + 1,)]


@pytest.mark.parametrize("command", ["retry", "accept", "resolve"])
def test_nothing_is_decided_about_a_saga_that_is_not_parked(
    command: str, run: Commands, parked: str, ask: Ask
) -> None:
    run("sagas", "accept", parked, *REASON)

    said = run("sagas", command, parked, *REASON)

    assert said.exit_code == 1
    assert "only a parked one" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["retry", "nobody", *REASON], 1, "no saga nobody"),
        (["show", "nobody"], 1, "no saga nobody"),
        (["retry", "nobody", "--reason", " "], 2, "--reason is empty"),
        (["retry", "nobody"], 2, "--reason"),
        (["list", "--state", "odd"], 2, "odd"),
    ],
)
def test_wrong_commands_are_told_so(
    arguments: list[str], exit_code: int, said: str, run: Commands
) -> None:
    answer = run("sagas", *arguments)

    assert answer.exit_code == exit_code
    assert said in answer.stderr


def test_a_step_that_is_not_parked_is_not_settled(run: Commands, parked: str, ask: Ask) -> None:
    said = run("sagas", "accept", parked, *REASON, "--step", 1)

    assert said.exit_code == 1
    assert "no parked step 1" in said.stderr
    assert ask("SELECT status FROM saga") == [("parked",)]
