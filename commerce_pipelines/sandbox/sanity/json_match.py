r"""The paths by which patches address parts of a document.

Belongs here: reading a path, finding what it addresses, rewriting a document
along it without touching shared parts. Does not belong here: what is done there.

The subset of JSONMatch (sanity.io/docs/json-match) that is understood:
`name`, `a.b.c`, `['odd name']`, `list[0]`, `list[-1]`, `list[1:3]`, `list[2:]`,
`list[*]`, `list[_key=="k"]`, `list[age > 35]`, `list[age?]`, `list[@ == 3]`, and
unions of these in one bracket. Anything else (recursive `..`, for one) is refused.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r"""\.?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<bracket>(?:'[^']*'|"[^"]*"|[^\]'"])*)\]"""
)
_PARTS = re.compile(r"""((?:'[^']*'|"[^"]*"|[^,'"])+)(?:,|$)""")
_RANGE = re.compile(r"(-?\d+)?\s*:\s*(-?\d+)?")
_COMPARISON = re.compile(r"(@|[A-Za-z_][\w.-]*)\s*(==|!=|<=|>=|<|>)\s*(.+)")
_EXISTS = re.compile(r"([A-Za-z_][\w.-]*)\?")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Key = str | int
Selector = Callable[[list[Any]], list[int]]


class InvalidPathError(ValueError):
    """The path is not understood."""


@dataclass(frozen=True)
class Attribute:
    """Addresses one attribute of an object, there or not."""

    name: str

    def keys(self, value: Any) -> list[Key]:
        """Returns what it addresses in this value."""
        return [self.name] if isinstance(value, dict) else []


@dataclass(frozen=True)
class Items:
    """Addresses items of an array by any of several selectors."""

    selectors: tuple[Selector, ...]

    def place(self, items: list[Any]) -> int | None:
        """Returns where an empty range stands in these items, or None for other selectors."""
        only = self.selectors[0] if len(self.selectors) == 1 else None
        return only.first(len(items)) if isinstance(only, Span) else None

    def keys(self, value: Any) -> list[Key]:
        """Returns the positions it addresses in this value, ascending."""
        if not isinstance(value, list):
            return []
        return sorted({position for select in self.selectors for position in select(value)})


Segment = Attribute | Items
Change = Callable[[Any, list[Key], Segment], Any]


@lru_cache(maxsize=4096)
def parse(path: str) -> tuple[Segment, ...]:
    """Returns the segments of a path.

    Raises:
        InvalidPathError: It is not within the subset.
    """
    if path[:1].isdigit():
        raise InvalidPathError(
            f'Field path "{path}" starts with a digit, which is not allowed. '
            f"Use bracket notation instead: ['{path}']"
        )
    segments: list[Segment] = []
    position = 0
    while position < len(path):
        found = _TOKEN.match(path, position)
        if found is None or (found["name"] and found[0].startswith(".") == (position == 0)):
            raise InvalidPathError(f'Unable to parse path "{path}" at position {position}')
        segments.append(_segment(found, path))
        position = found.end()
    if not segments:
        raise InvalidPathError("A path must not be empty")
    return tuple(segments)


def _segment(found: re.Match[str], path: str) -> Segment:
    if found["name"] is not None:
        return Attribute(found["name"])
    inside = found["bracket"].strip()
    if inside[:1] in "'\"" and inside[-1:] == inside[:1] and inside:
        return Attribute(inside[1:-1])
    parts = [part.strip() for part in _PARTS.findall(inside)]
    if not parts:
        raise InvalidPathError(f'Empty brackets in path "{path}"')
    return Items(tuple(_selector(part, path) for part in parts))


def _selector(text: str, path: str) -> Selector:
    if text == "*":
        return lambda items: list(range(len(items)))
    if re.fullmatch(r"-?\d+", text):
        return _at(int(text))
    if found := _RANGE.fullmatch(text):
        return Span(*(int(bound) if bound else None for bound in found.groups()))
    if found := _EXISTS.fullmatch(text):
        return _where(found[1], lambda value: value is not None)
    if found := _COMPARISON.fullmatch(text):
        return _where(found[1], _compares(found[2], _literal(found[3], path)))
    raise InvalidPathError(f'Unable to parse "[{text}]" in path "{path}"')


def _at(index: int) -> Selector:
    def select(items: list[Any]) -> list[int]:
        position = index + len(items) if index < 0 else index
        return [position] if 0 <= position < len(items) else []

    return select


@dataclass(frozen=True)
class Span:
    """Selects from start up to but not including end; -1 is the place after the last item."""

    start: int | None
    end: int | None

    def first(self, size: int) -> int:
        """Returns where it begins among so many items."""
        return min(_place(self.start, size, 0), size)

    def __call__(self, items: list[Any]) -> list[int]:
        """Returns the positions in the range."""
        size = len(items)
        return list(range(self.first(size), min(_place(self.end, size, size), size)))


def _place(bound: int | None, size: int, default: int) -> int:
    if bound is None:
        return default
    return max(bound + size + 1, 0) if bound < 0 else bound


def _where(name: str, test: Callable[[Any], bool]) -> Selector:
    return lambda items: [at for at, item in enumerate(items) if test(_read(item, name))]


def _read(item: Any, name: str) -> Any:
    if name == "@":
        return item
    for part in name.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item


def _compares(sign: str, wanted: Any) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        if sign not in ("==", "!=") and type(value) is not type(wanted):
            return False
        return _COMPARE[sign](value, wanted)

    return test


def _literal(text: str, path: str) -> Any:
    quoted = text[:1] == "'" and text[-1:] == "'" and len(text) > 1
    try:
        return text[1:-1] if quoted else json.loads(text)
    except ValueError:
        raise InvalidPathError(f'Unable to parse "{text}" in path "{path}"') from None


def rewrite(value: Any, path: tuple[Segment, ...], change: Change, *, create: bool) -> Any:
    """Returns the value with a change made wherever the path leads.

    Only what lies on the way is copied, the rest is shared with the old value.

    Args:
        value: A document or a part of one.
        path: From `parse`.
        change: Gets the last container, the keys addressed in it and the last
            segment; returns the new container.
        create: Objects that are missing on the way are made, as the Content Lake
            does for `set` and `setIfMissing`.
    """
    segment, rest = path[0], path[1:]
    if create and isinstance(segment, Attribute) and not isinstance(value, dict):
        value = {}
    keys = segment.keys(value)
    if not rest:
        return change(value, keys, segment)
    if not create:
        keys = [key for key in keys if not isinstance(key, str) or key in value]
    if not keys:
        return value
    copy = value.copy()
    for key in keys:
        child = copy.get(key) if isinstance(key, str) else copy[key]
        copy[key] = rewrite(child, rest, change, create=create)
    return copy
