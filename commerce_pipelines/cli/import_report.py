"""What an import came to, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commerce_pipelines.cli.output import print_json, print_table, print_text

MOST_SHOWN = 20

_GIVEN_UP = "given up (see `messages list --state dead`)"
_REPEATED = "described again later in the file"
_ROWS = {
    "products": "products",
    "valid": "valid",
    "created": "created",
    "updated": "updated",
    "unchanged": "unchanged",
    "rejected": "rejected",
    "dead": _GIVEN_UP,
    "repeated": _REPEATED,
    "prices_left_out": "prices left out",
    "seconds": "seconds",
    "products_per_second": "products a second",
}
_ONLY_IF_ANY = (_GIVEN_UP, _REPEATED, "prices left out")


@dataclass
class RefusalList:
    """The rows that were not taken: the first ones to show, all of them into a file.

    Attributes:
        count: How many rows.
        first: `{position, field, reason}`; positions are from 0.
    """

    count: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def collect(cls, refusals: Iterable[dict[str, Any]], path: Path | None) -> RefusalList:
        """Goes through the refusals once; writes them to a file, one JSON object a line."""
        found = cls()
        if path is None:
            for refusal in refusals:
                found._add(refusal)
            return found
        with path.open("w", encoding="utf-8") as file:
            for refusal in refusals:
                found._add(refusal)
                file.write(json.dumps(refusal, ensure_ascii=True) + "\n")
        return found

    def _add(self, refusal: dict[str, Any]) -> None:
        self.count += refusal.get("products", 1)
        if len(self.first) < MOST_SHOWN:
            self.first.append(refusal)


def print_report(report: dict[str, Any], refusals: RefusalList, *, as_json: bool) -> None:
    """Prints what an import came to.

    Args:
        report: Counts by name, and what else is to be said.
        refusals: What was not taken.
        as_json: As one JSON object.
    """
    if as_json:
        print_json({**report, "rejections": refusals.first})
    elif report.get("finished") is False:
        print_text(
            f"{report['products']} products are stored and will be imported; what became of them: "
            f"commerce-pipelines messages show {report['message_id']}"
        )
    else:
        rows = [(shown, report[name]) for name, shown in _ROWS.items() if name in report]
        rows = [row for row in rows if row[1] or row[0] not in _ONLY_IF_ANY]
        print_table(str(report["file"]), ["", "count"], rows)
        if refusals.first:
            _print_refusals(refusals)


def _print_refusals(refusals: RefusalList) -> None:
    shown = len(refusals.first)
    print_text()
    title = "Not taken" if refusals.count <= shown else f"Not taken, the first {shown}"
    rows = [(one["position"], one["field"], one["reason"]) for one in refusals.first]
    print_table(f"{title} (positions from 0)", ["position", "field", "reason"], rows)
