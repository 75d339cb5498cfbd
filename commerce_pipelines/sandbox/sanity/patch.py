"""Patches: what `set`, `unset` and the others do to one document.

Belongs here: the patch operations. Does not belong here: which documents are
patched, revisions, timestamps. Order within a patch as in the Content Lake:
setIfMissing, set, unset, inc, dec, insert. `diffMatchPatch` is refused.
Facts: sanity.io/docs/http-patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from commerce_pipelines.sandbox.sanity.document_rules import Document
from commerce_pipelines.sandbox.sanity.json_match import (
    Attribute,
    InvalidPathError,
    Items,
    Key,
    Segment,
    parse,
    rewrite,
)

SELECTION_KEYS = frozenset({"id", "query", "params", "ifRevisionID"})


class InvalidPatchError(ValueError):
    """The patch cannot be applied."""


def apply_patch(document: Document, patch: Mapping[str, Any]) -> Document:
    """Returns the patched document; the given one stays as it is.

    Raises:
        InvalidPatchError: An operation is unknown or does not fit the document.
    """
    unknown = patch.keys() - _OPERATIONS.keys() - SELECTION_KEYS
    if unknown:
        raise InvalidPatchError(f"Unknown patch operation {', '.join(sorted(unknown))}")
    patched = document.copy()
    try:
        for name, operation in _OPERATIONS.items():
            if name in patch:
                patched = operation(patched, patch[name])
    except InvalidPathError as problem:
        raise InvalidPatchError(str(problem)) from problem
    return patched


def _pairs(name: str, given: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(given, dict):
        raise InvalidPatchError(f"{name} takes an object of paths and values")
    return given.items()


def _set(document: Document, given: Any) -> Document:
    for path, value in _pairs("set", given):
        segments = parse(path)
        if len(segments) == 1 and isinstance(segments[0], Attribute):
            document[segments[0].name] = value
        else:
            document = rewrite(document, segments, _putting(value), create=True)
    return document


def _putting(value: Any) -> Callable[[Any, list[Key], Segment], Any]:
    def put(container: Any, keys: list[Key], segment: Segment) -> Any:
        copy = container.copy() if keys else container
        for key in keys:
            copy[key] = value
        return copy

    return put


def _set_if_missing(document: Document, given: Any) -> Document:
    for path, value in _pairs("setIfMissing", given):
        document = rewrite(document, parse(path), _seeding(value), create=True)
    return document


def _seeding(value: Any) -> Callable[[Any, list[Key], Segment], Any]:
    def seed(container: Any, keys: list[Key], segment: Segment) -> Any:
        missing = [key for key in keys if isinstance(key, str) and container.get(key) is None]
        return container | dict.fromkeys(missing, value) if missing else container

    return seed


def _unset(document: Document, given: Any) -> Document:
    if not isinstance(given, list) or not all(isinstance(path, str) for path in given):
        raise InvalidPatchError("unset takes an array of paths")
    for path in given:
        document = rewrite(document, parse(path), _remove, create=False)
    return document


def _remove(container: Any, keys: list[Key], segment: Segment) -> Any:
    if not keys:
        return container
    copy: Any = container.copy()
    for key in reversed(keys):
        if not isinstance(key, str) or key in copy:
            del copy[key]
    return copy


def _adding(name: str, sign: int) -> Callable[[Document, Any], Document]:
    def operation(document: Document, given: Any) -> Document:
        for path, amount in _pairs(name, given):
            if not _is_number(amount):
                raise InvalidPatchError(f'{name} of "{path}" takes a number')
            document = rewrite(document, parse(path), _adder(path, sign * amount), create=False)
        return document

    return operation


def _adder(path: str, amount: float) -> Callable[[Any, list[Key], Segment], Any]:
    def add(container: Any, keys: list[Key], segment: Segment) -> Any:
        copy = container.copy() if keys else container
        for key in keys:
            if isinstance(key, str) and copy.get(key) is None:
                raise InvalidPatchError(f'Cannot increment "{path}" because it is not present')
            if not _is_number(copy[key]):
                raise InvalidPatchError(f'Cannot increment "{path}" because it is not a number')
            copy[key] += amount
        return copy

    return add


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _insert(document: Document, given: Any) -> Document:
    if not isinstance(given, dict):
        raise InvalidPatchError("insert takes an object")
    places = [place for place in ("before", "after", "replace") if place in given]
    if len(places) != 1 or not isinstance(given.get("items"), list):
        raise InvalidPatchError("insert takes one of before, after and replace, and items")
    place, path = places[0], given[places[0]]
    segments = parse(path)
    if not isinstance(segments[-1], Items):
        raise InvalidPatchError(f'insert {place} "{path}" does not address items of an array')
    reached: list[bool] = []

    def change(container: Any, keys: list[Key], segment: Segment) -> Any:
        if not isinstance(container, list) or not isinstance(segment, Items):
            return container
        reached.append(True)
        at = [key for key in keys if isinstance(key, int)]
        return _spliced(container, at, place, given["items"], empty_at=segment.place(container))

    changed: Document = rewrite(document, segments, change, create=False)
    if not reached:
        raise InvalidPatchError(f'Cannot insert at "{path}" because there is no array')
    return changed


def _spliced(
    items: list[Any], at: list[int], place: str, new: list[Any], empty_at: int | None
) -> list[Any]:
    if not at:
        default = 0 if place == "before" else len(items)
        cut = default if empty_at is None else empty_at
        return items[:cut] + new + items[cut:]
    if place == "replace":
        kept = [item for position, item in enumerate(items) if position not in set(at)]
        return kept[: at[0]] + new + kept[at[0] :]
    cut = at[0] if place == "before" else at[-1] + 1
    return items[:cut] + new + items[cut:]


_OPERATIONS: dict[str, Callable[[Document, Any], Document]] = {
    "setIfMissing": _set_if_missing,
    "set": _set,
    "unset": _unset,
    "inc": _adding("inc", 1),
    "dec": _adding("dec", -1),
    "insert": _insert,
}
