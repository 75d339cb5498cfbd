"""`messages`: look at the inbox, and have a message worked on again."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from commerce_pipelines.cli.options import (
    AsJson,
    Home,
    Limit,
    Reason,
    Who,
    given_decision,
    moment,
)
from commerce_pipelines.cli.output import print_json, print_table, print_text
from commerce_pipelines.cli.session import open_desk
from commerce_pipelines.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Look at the inbox; have messages worked on again.")


class MessageState(StrEnum):
    """The states of a message."""

    NEW = "new"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"


class FinishedState(StrEnum):
    """The states from which a message can be replayed."""

    DONE = "done"
    DEAD = "dead"


MessageId = Annotated[int, typer.Argument(metavar="ID", show_default=False)]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Received since: 2h, 3d, 2026-01-31T08:00Z.")
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Received before: 1h, 2026-01-31T09:00Z.")
]


@app.command("list")
def list_(
    state: Annotated[MessageState | None, typer.Option(help="Only in this state.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from this sender.")] = None,
    since: Since = None,
    limit: Limit = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List messages, newest first.

    Example: commerce-pipelines messages list --state dead --since 24h
    """
    after = moment(since)
    with open_desk(home) as desk:
        found = desk.list_messages([state] if state else [], source, after, limit)
    if as_json:
        print_json(found)
        return
    columns = ["id", "source", "part", "products", "state", "tries", "received", "saga", "error"]
    print_table("Messages", columns, [_row(one) for one in found])


def _row(one: dict[str, Any]) -> list[Any]:
    part = f"{one['part'] + 1}/{one['parts']}" if one["parts"] > 1 else ""
    names = ["item_count", "state", "tries", "received_at", "saga_id", "last_error"]
    return [one["id"], one["source"], part, *(one[name] for name in names)]


@app.command()
def show(
    message_id: MessageId,
    body: Annotated[bool, typer.Option("--body", help="Print what it brought, as it is.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show a message, what became of it, and of the delivery that it is a part of.

    Example: commerce-pipelines messages show 17
    """
    with open_desk(home) as desk:
        if body:
            sys.stdout.buffer.write(desk.message_body(message_id))
            return
        found = desk.describe_message(message_id)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    delivery, events, outcome = found.pop("delivery"), found.pop("events"), found.pop("outcome")
    known = [(name, value) for name, value in found.items() if value is not None]
    print_table(f"Message {found['id']}", ["", ""], known)
    if outcome:
        rejected = outcome.pop("rejected")
        outcome.pop("products", None)
        print_text()
        print_table("Outcome", ["", "products"], [*outcome.items(), ("rejected", len(rejected))])
        rows = [(one["position"], one["field"], one["reason"]) for one in rejected]
        if rows:
            print_text()
            print_table("Not taken (positions from 0)", ["position", "field", "reason"], rows)
    if delivery and delivery["parts"] > 1:
        print_text()
        print_table("The whole delivery", ["", ""], delivery.items())
    if events:
        print_text()
        print_table("What people did", list(events[0]), [one.values() for one in events])


@app.command()
def replay(
    reason: Reason,
    message_ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", show_default=False)
    ] = None,
    source: Annotated[str | None, typer.Option(help="All from this sender.")] = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[
        FinishedState, typer.Option(help="Without ids: those in this state.")
    ] = FinishedState.DEAD,
    who: Who = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Have finished messages worked on again: some by id, or by sender and time.

    An old message never overwrites what a newer one has brought since.

    Example: commerce-pipelines messages replay --source pim --since 2h --reason "Sanity was down"
    """
    from commerce_pipelines.store.message_operations import Selection

    decision = given_decision(who, reason)
    selection = Selection(state, source, moment(since), moment(until))
    if bool(message_ids) == bool(source or since or until):
        raise InvalidInput("Say which messages: either ids, or --source, --since, --until.")
    with open_desk(home) as desk:
        message_ids = message_ids or desk.replayable_ids(selection)
        desk.replay(message_ids, decision.who, decision.reason)
    if as_json:
        print_json({"replayed": message_ids})
    else:
        print_text(f"{len(message_ids)} messages wait to be worked on again.")
