"""A saga on the screen: what is wrong, what to do, then everything that is known.

Commands and requests stand alone on their lines, so that they can be copied at
any width. What is long is shortened here and whole in `--json`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from commerce_pipelines.cli.output import print_table, print_text, shown_moment

MOST_THINGS = 20
LONGEST_VALUE = 60
LONGEST_TEXT = 400

_SAGA = ["kind", "status", "failed_because", "epoch", "holder", "lease_until", "next_try_at"]
_MESSAGE = ["id", "source", "part", "item_count", "state"]

Facts = dict[str, Any]


def print_saga(saga: Facts) -> None:
    """Prints a saga as `Desk.describe_saga` gives it."""
    if saga["problem"]:
        print_text(saga["problem"])
        print_text(f"To do: {saga['advice']}")
    else:
        print_text(f"Saga {saga['saga_id']} is {saga['status']}; nothing in it waits for a person.")
    for command, when in saga["decisions"].items():
        print_text(f"\n  # {when}\n  {command}")
    for step in reversed(saga["steps"]):
        _print_step(saga["saga_id"], step)
    print_text(f"\nSaga {saga['saga_id']}")
    for name in _SAGA:
        if saga[name] is not None:
            print_text(f"  {name}: {_shown(saga[name])}")
    print_text("  runs:" if saga["runs"] else "  runs: none")
    for run in saga["runs"]:
        print_text(f"    {run['url'] or run['run_id']}")
    if saga["messages"]:
        print_text()
        rows = [[one[name] for name in _MESSAGE] for one in saga["messages"]]
        print_table("Messages", _MESSAGE, rows)
    print_text("\nEvents")
    for event in saga["events"]:
        _print_event(event)


def _print_event(event: Facts) -> None:
    what = event["what"] if event["seq"] is None else f"step {event['seq']} {event['what']}"
    who = f" by {event['who']}" if event["who"] else ""
    note = f": {event['note']}" if event["note"] else ""
    print_text(f"  {shown_moment(event['at'])} {what}{who}, epoch {event['epoch']}{note}")


def _print_step(saga_id: str, step: Facts) -> None:
    print_text(f"\nStep {step['seq']}, {step['name']}: {step['state']}")
    print_text(f"  key {step['idem_key']}")
    if "unseen" in step:
        print_text(f"  {step['unseen']}")
    if step.get("undo_counts"):
        counts = [f"{count} {_UNDO[name]}" for name, count in step["undo_counts"].items()]
        print_text(f"  {', '.join(counts)}")
    elif "documents" not in step:
        for name in ("plan", "result", "undo_result"):
            told = _shown(step[name]) if step.get(name) else ""
            # What is long is compared field by field below.
            if told and not (step.get("records") and told.endswith("…")):
                print_text(f"  {name}: {told}")
    _print_things(step.get("documents", []), "id")
    _print_things(step.get("products", []), "product_id")
    for name in ("brands", "orders", "records"):
        _print_things(step.get(name, []), "id")
    for word in step.get("to_do", []):
        print_text(f"  to do there by hand: {word}")
    for one in step["errors"]:
        print_text(f"  error at {shown_moment(one['at'])}: {one['error']}")
    for request in step["requests"]:
        _print_request(saga_id, request)


def _print_things(things: list[Facts], id_: str) -> None:
    """Prints what a step changed: what was there, what we wrote, what is there now."""
    for thing in things[:MOST_THINGS]:
        how = "created by us" if thing["before"] in (None, {}) else "changed by us"
        how = f"perhaps {how}" if thing.get("in_doubt") else how
        how = "there before us" if thing.get("undo") == "found" else how
        undo = f", {_UNDO[thing['undo']]}" if "undo" in thing else ""
        now = thing.get("now") or {}
        title = now.get("title") or now.get("name") or now.get("number")
        print_text(f"  {thing[id_]}{f' {_cut(title)}' if title else ''}: {how}{undo}")
        for name, told in _fields(thing):
            print_text(f"    {name}: {told}")
    if len(things) > MOST_THINGS:
        print_text(f"  … and more; --json has the first {len(things)}")


def _fields(thing: Facts) -> Iterator[tuple[str, str]]:
    """Yields the fields that say something: changed by us, or by somebody after us."""
    before, now = thing["before"] or {}, thing.get("now") or {}
    ours = thing["written"] if "written" in thing else _written(thing, now)
    wrote = "we may have written" if thing.get("in_doubt") else "we wrote"
    for name in ours:
        edited = bool(now) and now.get(name) != ours[name]
        changed = bool(before) and before.get(name) != ours[name]
        if name not in _OF_THE_ROW and (edited or changed):
            told = f"was {_cut(before.get(name))}, {wrote} {_cut(ours[name])}"
            yield name, f"{told}, is {_cut(now.get(name))}" if edited else told


def _written(product: Facts, now: Facts) -> Facts:
    """Returns what we wrote of a product: what is there, unless somebody wrote after us."""
    return now if product["version_now"] == product["version_written"] else {}


def _cut(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _print_request(saga_id: str, request: Facts) -> None:
    print_text(f"\n  # {request['why']}")
    source = f"  commerce-pipelines sagas show {saga_id} --request {request['id']} |"
    if "sql" in request and request.get("optional"):
        print_text(request["sql"].rstrip())
    elif "sql" in request:
        print_text(f'{source}\n    psql -v ON_ERROR_STOP=1 "$POSTGRES_URL"')
    elif request["body"] is None:
        print_text(curl(request))
    else:
        print_text(f"{source}\n{curl(request)}")


def curl(request: Facts) -> str:
    """Returns the command that sends a request, with the body on its standard input."""
    headers = [_header(f"{name}: {value}") for name, value in request["headers"].items()]
    first = f"    curl -X {request['method']} {shlex.quote(request['url'])}"
    body = [] if request["body"] is None else ["--data-binary @-"]
    return " \\\n      ".join([first, *headers, *body])


def _header(line: str) -> str:
    # In double quotes the shell puts the token in; in what others have written it shall do nothing.
    return f'-H "{line}"' if _WITH_TOKEN.fullmatch(line) else f"-H {shlex.quote(line)}"


def request_body(request: Facts) -> str:
    """Returns what a request brings: JSON, or SQL."""
    if "sql" in request:
        return str(request["sql"])
    # In ASCII, for what is printed goes to a program and not to a terminal.
    return json.dumps(request["body"])


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return shown_moment(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


_WITH_TOKEN = re.compile(r"(?:Authorization|X-Api-Key): (?:[Bb]earer )?\$[A-Z_]+")
_UNDO = {
    "delete": "to delete",
    "restore": "to restore",
    "leave": "to leave, changed by somebody since",
    "superseded": "to leave, changed by somebody since",
    "gone": "gone",
    "restored": "restored already",
    "in_use": "to delete once no product has it",
    "found": "to leave",
    "cancel": "to cancel",
    "cancelled": "cancelled",
    "confirm": "to confirm",
    "confirmed": "confirmed already",
    "confirmed_there": "confirmed by somebody since",
    "send": "not known whether written",
    "absent": "not written",
}
# What every write of a row changes says nothing.
_OF_THE_ROW = frozenset(
    {"id", "feed_hash", "erp_hash", "message_id", "version", "saga_id", "created_at", "updated_at"}
)
