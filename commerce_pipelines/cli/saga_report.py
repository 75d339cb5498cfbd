"""A saga on the screen: enough to finish a parked one by hand.

What is long is shortened here and whole in `--json`.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from commerce_pipelines.cli.output import print_table, print_text

MOST_DOCUMENTS = 20
LONGEST_CELL = 400
LONGEST_REQUEST = 20_000

_HEAD = [
    "saga_id",
    "kind",
    "lock_key",
    "status",
    "reason",
    "epoch",
    "holder",
    "lease_until",
    "next_try_at",
    "created_at",
    "finished_at",
]
_STEP = ["seq", "name", "label", "state", "undo_tries", "result", "undo_result", "error"]
_EVENT = ["at", "seq", "what", "epoch", "who", "note"]
_MESSAGE = ["id", "source", "part", "item_count", "state"]

Facts = dict[str, Any]


def print_saga(saga: Facts) -> None:
    """Prints a saga as `Desk.describe_saga` gives it."""
    print_table("Saga", ["", ""], [(name, saga[name]) for name in _HEAD if saga[name] is not None])
    _print_rows("Runs", ["run_id", "url"], saga["runs"])
    _print_rows("Messages", _MESSAGE, saga["messages"])
    _print_rows("Steps", _STEP, saga["steps"])
    for step in saga["steps"]:
        _print_step(step)
    _print_rows("Events", _EVENT, saga["events"])
    if saga["decisions"]:
        print_text()
        print_table("What you can do", ["command", "when"], saga["decisions"].items())


def _print_rows(title: str, names: list[str], rows: list[Facts]) -> None:
    if rows:
        print_text()
        print_table(title, names, [[_short(row.get(name)) for name in names] for row in rows])


def _print_step(step: Facts) -> None:
    title = f"Step {step['seq']} ({step['name']}, key {step['idem_key']})"
    documents = step.get("documents", [])
    _print_rows(
        f"{title}: documents{_cut(documents)}",
        ["id", "created", "before", "written", "now"],
        documents[:MOST_DOCUMENTS],
    )
    products = step.get("products", [])
    _print_rows(
        f"{title}: products{_cut(products)}",
        ["product_id", "title_now", "version_written", "version_now", "before"],
        products[:MOST_DOCUMENTS],
    )
    if "unseen" in step:
        print_text(f"\n{step['unseen']}")
    for request in step.get("requests", []):
        print_text(f"\nRequest that {request['why']}:")
        print_text(_curl(request))


def _curl(request: Facts) -> str:
    body = json.dumps(request["body"], ensure_ascii=False)
    if len(body) > LONGEST_REQUEST:
        return f"{request['method']} {request['url']} with {len(body)} characters; see --json."
    # In double quotes, so that the shell puts the token in.
    headers = " ".join(f'-H "{name}: {value}"' for name, value in request["headers"].items())
    url = shlex.quote(request["url"])
    return f"curl -X {request['method']} {url} {headers} --data {shlex.quote(body)}"


def _cut(rows: list[Facts]) -> str:
    return f", {MOST_DOCUMENTS} of {len(rows)}" if len(rows) > MOST_DOCUMENTS else ""


def _short(value: Any) -> Any:
    if not isinstance(value, dict | list | str):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
