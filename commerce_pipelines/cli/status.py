"""`status`: what waits for a person, what is going on, what is late."""

from __future__ import annotations

from typing import Any

from commerce_pipelines.cli.options import AsJson, Home
from commerce_pipelines.cli.output import print_json, print_table, print_text, shown_seconds
from commerce_pipelines.cli.session import open_desk


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Show what waits for a person, sagas and messages by state, and how old they are.

    Example: commerce-pipelines status --json
    """
    with open_desk(home) as desk:
        found = desk.status()
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    kinds = ("parked", "dead", "refused", "backlog", "stale")
    concerns = [each for kind in kinds for each in found[kind]]
    waiting = found["parked_count"] + found["dead_count"] + found["refused_count"]
    if waiting:
        print_text(f"{waiting} {'thing waits' if waiting == 1 else 'things wait'} for a person.")
    elif not concerns:
        print_text("Nothing waits for a person.")
    for concern in concerns:
        print_text(f"\n{concern['text']}")
    _print_more(found, "parked", "parked steps", "sagas list --state parked")
    _print_more(found, "dead", "dead messages", "messages list --state dead")
    _print_more(found, "refused", "refused messages", "messages list --state claimed")
    print_text()
    print_table("Sagas", ["state", "count"], found["sagas"].items())
    print_text()
    print_table("Messages", ["state", "count"], found["messages"].items())
    oldest = found["oldest_unfinished_message_seconds"]
    if oldest is not None:
        print_text(f"The oldest unfinished message is {shown_seconds(oldest)} old.")
    asked = found["price_book_seconds"]
    if asked is not None:
        print_text(f"The ERP's word in the price book is at most {shown_seconds(asked)} old.")


def _print_more(found: dict[str, Any], kind: str, what: str, command: str) -> None:
    count = found[f"{kind}_count"] - len(found[kind])
    if count > 0:
        print_text(f"\n… and {count} more {what}: commerce-pipelines {command}")
