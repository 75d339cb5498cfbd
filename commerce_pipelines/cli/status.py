"""`status`: what is going on, what is late, what waits for a person."""

from __future__ import annotations

from typing import Any

from commerce_pipelines.cli.options import AsJson, Home
from commerce_pipelines.cli.output import print_json, print_table, print_text, shown_seconds
from commerce_pipelines.cli.session import open_desk


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Show sagas and messages by state, the oldest message, and what waits for a person.

    Example: commerce-pipelines status --json
    """
    with open_desk(home) as desk:
        found = desk.status()
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    print_table("Sagas", ["state", "count"], found["sagas"].items())
    print_text()
    print_table("Messages", ["state", "count"], found["messages"].items())
    oldest = found["oldest_unfinished_message_seconds"]
    if oldest is not None:
        print_text(f"The oldest unfinished message is {shown_seconds(oldest)} old.")
    if found["parked"]:
        print_text()
        rows = [(saga["saga_id"], saga["reason"]) for saga in found["parked"]]
        print_table("Parked: a person must decide, see `sagas show ID`", ["saga", "reason"], rows)
    if found["dead"]:
        print_text()
        title = "Dead: not tried any more, see `messages show ID`"
        dead = [(one["id"], one["source"], one["last_error"]) for one in found["dead"]]
        print_table(title, ["id", "source", "error"], dead)
