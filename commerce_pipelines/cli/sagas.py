"""`sagas`: look at what is half-done, and decide about what is parked."""

from __future__ import annotations

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
)
from commerce_pipelines.cli.output import print_json, print_text, shown_moment
from commerce_pipelines.cli.saga_report import print_saga, request_body
from commerce_pipelines.cli.session import open_desk
from commerce_pipelines.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Look at sagas; decide about parked ones.")


class SagaState(StrEnum):
    """The states of a saga."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    ABORTING = "aborting"
    COMPENSATED = "compensated"
    PARKED = "parked"


SagaId = Annotated[str, typer.Argument(metavar="ID", show_default=False)]
StepNumber = Annotated[
    int | None,
    typer.Option("--step", metavar="N", help="Only this step.", show_default="all parked ones"),
]


@app.command("list")
def list_(
    state: Annotated[SagaState | None, typer.Option(help="Only in this state.")] = None,
    limit: Limit = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List sagas, unfinished ones first, then the newest.

    Example: commerce-pipelines sagas list --state parked
    """
    with open_desk(home) as desk:
        found = desk.list_sagas([state] if state else [], limit)
    if as_json:
        print_json(found)
        return
    for one in found:
        since = shown_moment(one["created_at"])
        print_text(f"{one['saga_id']}  {one['status']:<11}  {since}")
        if one["reason"]:
            print_text(f"    {one['reason']}")
    if not found:
        print_text("Sagas: none")


@app.command()
def show(
    saga_id: SagaId,
    request: Annotated[
        str | None,
        typer.Option("--request", metavar="R", help="Print only what this request sends."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a saga: what it wrote, what is there now, what would finish it.

    Example: commerce-pipelines sagas show pim_import-0123abcd
    """
    with open_desk(home, with_systems=True) as desk:
        found = desk.describe_saga(saga_id)
    if request:
        print_text(_body_of(found, request))
    elif as_json:
        print_json(found)
    else:
        print_saga(found)


def _body_of(saga: dict[str, Any], request_id: str) -> str:
    requests = {one["id"]: one for step in saga["steps"] for one in step["requests"]}
    if request_id not in requests:
        raise NotFound(f"Nothing is left to send as {request_id}; show the saga again.")
    return request_body(requests[request_id])


@app.command()
def retry(
    saga_id: SagaId,
    reason: Reason,
    who: Who = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Try the undo of a parked saga again.

    Example: commerce-pipelines sagas retry pim_import-0123abcd --reason "the token works again"
    """
    decision = given_decision(who, reason)
    with open_desk(home) as desk:
        state = desk.retry(saga_id, decision)
    _print_state(saga_id, state, as_json=as_json)


@app.command()
def accept(
    saga_id: SagaId,
    reason: Reason,
    step: StepNumber = None,
    who: Who = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Leave parked steps as they are: what is there now is right.

    The steps before them are still undone.

    Example: commerce-pipelines sagas accept pim_import-0123abcd --reason "the page links to it"
    """
    decision = given_decision(who, reason)
    with open_desk(home) as desk:
        state = desk.accept(saga_id, decision, seq=step)
    _print_state(saga_id, state, as_json=as_json)


@app.command()
def resolve(
    saga_id: SagaId,
    reason: Reason,
    step: StepNumber = None,
    who: Who = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Note that parked steps were undone by hand.

    The steps before them are undone after that.

    Example: commerce-pipelines sagas resolve pim_import-0123abcd --reason "deleted in the studio"
    """
    decision = given_decision(who, reason)
    with open_desk(home) as desk:
        state = desk.resolve(saga_id, decision, seq=step)
    _print_state(saga_id, state, as_json=as_json)


def _print_state(saga_id: str, state: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"saga_id": saga_id, "status": state})
    elif state == SagaState.ABORTING:
        print_text(f"Saga {saga_id} is aborting: the next sweep undoes what is left of it.")
    else:
        print_text(f"Saga {saga_id} is {state}: another step still waits for a decision.")
