"""What makes a document acceptable: ids, depth, references, array keys.

Belongs here: rules that look at one document alone. Does not belong here: rules
that need the dataset, such as whether a reference leads anywhere.
Facts: sanity.io/docs, "IDs and paths" and "Technical limits".
"""

from __future__ import annotations

import re
import secrets
from typing import Any

Document = dict[str, Any]

MAX_NESTING = 20
_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_])){0,127}")


def is_valid_id(document_id: object) -> bool:
    """Tells whether this may be a document's id."""
    return isinstance(document_id, str) and _ID.fullmatch(document_id) is not None


def new_id(prefix: str = "") -> str:
    """Returns an id nobody uses."""
    return prefix + secrets.token_hex(11)


def is_hidden(document_id: str) -> bool:
    """Tells whether readers without a token do not see this document."""
    return "." in document_id


class Survey:
    """What one walk over a document finds.

    Attributes:
        depth: Levels of objects and arrays, the document itself being the first; counted to
            one more than is allowed.
        strong_references: Ids that must exist as long as this document does.
        references: Every id that the document refers to, weakly too.
    """

    __slots__ = ("depth", "references", "strong_references")

    def __init__(self, document: Document) -> None:
        self.depth = 0
        self.strong_references: set[str] = set()
        self.references: set[str] = set()
        self._walk(document, 1)

    def _walk(self, value: dict[str, Any] | list[Any], level: int) -> None:
        self.depth = max(self.depth, level)
        if level > MAX_NESTING:
            return
        if isinstance(value, dict):
            if "_ref" in value:
                self._note(value)
            value = list(value.values())
        for child in value:
            if isinstance(child, (dict, list)):
                self._walk(child, level + 1)

    def _note(self, reference: dict[str, Any]) -> None:
        target = reference["_ref"]
        if not isinstance(target, str) or "_dataset" in reference:
            return
        self.references.add(target)
        if reference.get("_weak") is not True:
            self.strong_references.add(target)


def with_array_keys(value: Any) -> Any:
    """Returns the value with a `_key` on every object in an array that lacks one."""
    if isinstance(value, dict):
        return {name: with_array_keys(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_keyed(with_array_keys(child)) for child in value]
    return value


def _keyed(item: Any) -> Any:
    if isinstance(item, dict) and "_key" not in item:
        return {"_key": secrets.token_hex(6), **item}
    return item
