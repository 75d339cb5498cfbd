"""`messages`: what is in the inbox, and having it worked on again."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.services.pim_import import deliver
from commerce_pipelines_tests.cli.conftest import Ask, Commands

REASON = ("--reason", "Sanity was down", "--who", "nora")


@pytest.fixture
def inbox(engine: Engine, work: Callable[[], None], ask: Ask) -> list[int]:
    """One message that is done, one that is dead, one that is new; from two senders."""
    with engine.begin() as connection:
        deliver(connection, "pim", "w1", [{"title": "Mug"}, {"title": ""}])
    work()
    with engine.begin() as connection:
        deliver(connection, "pim", "w2", [{"title": "Pot"}])
        deliver(connection, "file", "w3", [{"title": "Pan"}])
        connection.execute(
            text("UPDATE message SET state = 'dead', last_error = 'boom' WHERE webhook_id = 'w2'")
        )
    return [id_ for (id_,) in ask("SELECT id FROM message ORDER BY id")]


def test_list_shows_the_newest_first(run: Commands, inbox: list[int]) -> None:
    listed = run("messages", "list", "--json").json()

    assert [one["id"] for one in listed] == inbox[::-1]
    assert [one["state"] for one in listed] == ["new", "dead", "done"]
    assert "body" not in listed[0]
    assert "boom" in run("messages", "list").stdout


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--state", "dead"], [1]),
        (["--source", "pim"], [1, 0]),
        (["--limit", "1"], [2]),
        (["--since", "1h"], [2, 1, 0]),
        (["--since", "2999-01-01"], []),
    ],
)
def test_list_can_be_narrowed(
    options: list[str], found: list[int], run: Commands, inbox: list[int]
) -> None:
    listed = run("messages", "list", "--json", *options).json()

    assert [one["id"] for one in listed] == [inbox[at] for at in found]


def test_show_tells_what_became_of_a_message(run: Commands, inbox: list[int]) -> None:
    shown = run("messages", "show", inbox[0], "--json").json()

    assert (shown["state"], shown["outcome"]["created"]) == ("done", 1)
    assert shown["outcome"]["rejected"][0]["position"] == 1
    assert shown["delivery"]["state"] == "done"
    assert "at least 1 character" in run("messages", "show", inbox[0]).stdout


def test_show_gives_the_body_as_it_came(run: Commands, inbox: list[int]) -> None:
    said = run("messages", "show", inbox[2], "--body")

    assert json.loads(said.stdout) == [{"title": "Pan"}]


def test_replay_has_messages_worked_on_again_and_records_it(
    run: Commands, inbox: list[int], work: Callable[[], None], ask: Ask
) -> None:
    said = run("messages", "replay", inbox[0], inbox[1], *REASON, "--json")
    work()

    assert said.json() == {"replayed": inbox[:2]}
    assert ask("SELECT DISTINCT state FROM message") == [("done",)]
    assert ask("SELECT title FROM product ORDER BY title") == [("Mug",), ("Pan",), ("Pot",)]
    events = run("messages", "show", inbox[1], "--json").json()["events"]
    assert [(e["what"], e["who"], e["note"], e["last_error"]) for e in events] == [
        ("replayed when dead", "nora", "Sanity was down", "boom")
    ]


def test_replay_by_sender_and_time_takes_the_dead_ones(
    run: Commands, inbox: list[int], ask: Ask
) -> None:
    said = run("messages", "replay", "--source", "pim", "--since", "1d", *REASON, "--json")

    assert said.json() == {"replayed": [inbox[1]]}
    assert ask("SELECT state, tries, last_error FROM message WHERE id = :id", id=inbox[1]) == [
        ("new", 0, None)
    ]


@pytest.mark.parametrize(
    ("options", "replayed"),
    [
        (["--source", "pim"], [1]),
        (["--source", "file"], []),
        (["--since", "2h"], [1]),
        (["--since", "30m"], []),
        (["--until", "30m"], [1]),
        (["--until", "2h"], []),
        (["--since", "2h", "--until", "30m", "--source", "pim"], [1]),
        (["--since", "2h", "--until", "90m"], []),
    ],
)
def test_replay_by_sender_or_by_time_takes_what_fits_all_of_it(
    options: list[str], replayed: list[int], run: Commands, inbox: list[int], engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET received_at = now() - interval '1 hour'"))

    said = run("messages", "replay", *options, *REASON, "--json")

    assert said.json() == {"replayed": [inbox[at] for at in replayed]}


def test_replay_takes_the_done_ones_when_told_to(run: Commands, inbox: list[int]) -> None:
    options = ["--source", "pim", "--since", "1d", "--state", "done"]

    assert run("messages", "replay", *options, *REASON, "--json").json() == {"replayed": [inbox[0]]}


def test_replay_of_one_that_is_still_worked_on_changes_nothing(
    run: Commands, inbox: list[int], ask: Ask
) -> None:
    said = run("messages", "replay", inbox[1], inbox[2], *REASON)

    assert said.exit_code == 1
    assert f"Message {inbox[2]} is new" in said.stderr
    assert ask("SELECT state FROM message WHERE id = :id", id=inbox[1]) == [("dead",)]
    assert ask("SELECT count(*) FROM message_event") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["show", "4711"], 1, "no message 4711"),
        (["replay", "4711", *REASON], 1, "no message 4711"),
        (["replay", "4711"], 2, "--reason"),
        (["replay", *REASON], 2, "--source, --since, --until"),
        (["replay", "1", "--source", "pim", *REASON], 2, "either ids"),
        (["replay", "1", "--until", "1h", *REASON], 2, "either ids"),
        (["replay", "--until", "soon", *REASON], 2, "2h, 3d"),
        (["replay", "--source", "pim", "--reason", " "], 2, "--reason is empty"),
        (["list", "--since", "yesterday"], 2, "2h, 3d"),
    ],
)
def test_wrong_commands_are_told_so(
    arguments: list[str], exit_code: int, said: str, run: Commands
) -> None:
    answer = run("messages", *arguments)

    assert answer.exit_code == exit_code
    assert said in answer.stderr
