"""How GROQ compares, orders and matches values.

Belongs here: operators and functions on plain values. Does not belong here:
where the values come from. null is "unknown": a comparison with values of other
types gives null, and a filter keeps only what is true.
Facts: the GROQ specification, https://spec.groq.dev.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any


def same(left: Any, right: Any) -> bool:
    """Tells whether two values are equal; true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else None


def compare(left: Any, right: Any) -> int | None:
    """Returns -1, 0 or 1, or None for values that have no order."""
    kind = _kind(left)
    if kind is None or kind != _kind(right):
        return None
    return int(left > right) - int(left < right)


_RANKS = {"number": 0, "string": 1, "boolean": 2, None: 3}


def order(left: Any, right: Any) -> int:
    """Returns -1, 0 or 1: numbers, strings, booleans, then everything else."""
    compared = compare(left, right)
    if compared is not None:
        return compared
    ranks = _RANKS[_kind(left)], _RANKS[_kind(right)]
    return int(ranks[0] > ranks[1]) - int(ranks[0] < ranks[1])


def both(left: Any, right: Any) -> bool | None:
    """Returns `left && right`."""
    if left is False or right is False:
        return False
    return True if left is True and right is True else None


def either(left: Any, right: Any) -> bool | None:
    """Returns `left || right`."""
    if left is True or right is True:
        return True
    return False if left is False and right is False else None


class Path:
    """The value of `path("drafts.**")`: ids by pattern, `*` within a segment, `**` across."""

    def __init__(self, pattern: str) -> None:
        escaped = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^.]*")
        self._pattern = re.compile(escaped)

    def holds(self, value: Any) -> bool:
        """Tells whether this is an id under the path."""
        return isinstance(value, str) and self._pattern.fullmatch(value) is not None


def contained(value: Any, container: Any) -> bool | None:
    """Returns `value in container`."""
    if isinstance(container, Path):
        return container.holds(value)
    if not isinstance(container, list):
        return None
    return any(same(value, item) for item in container)


_WORD = re.compile(r"[\w*]+")


def matches(text: Any, pattern: Any) -> bool:
    """Returns `text match pattern`: each word of the pattern is a word of the text."""
    texts = text if isinstance(text, list) else [text]
    words = [word for part in texts if isinstance(part, str) for word in _words(part)]
    patterns = pattern if isinstance(pattern, list) else [pattern]
    wanted = [word for part in patterns if isinstance(part, str) for word in _words(part)]
    return bool(wanted) and all(any(_fits(word, want) for word in words) for want in wanted)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


@functools.lru_cache(maxsize=1024)
def _word_pattern(wanted: str) -> re.Pattern[str]:
    return re.compile(re.escape(wanted).replace(r"\*", ".*"))


def _fits(word: str, wanted: str) -> bool:
    return _word_pattern(wanted).fullmatch(word) is not None


def length(value: Any) -> int | None:
    """Returns how long a string or an array is."""
    return len(value) if isinstance(value, (str, list)) else None


def _on_text(change: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else None


def starts_with(text: Any, prefix: Any) -> bool | None:
    """Returns `string::startsWith(text, prefix)`."""
    if not isinstance(text, str) or not isinstance(prefix, str):
        return None
    return text.startswith(prefix)


def coalesce(*values: Any) -> Any:
    """Returns the first value that is not null."""
    return next((value for value in values if value is not None), None)


FUNCTIONS: dict[str, tuple[int | None, Callable[..., Any]]] = {
    "coalesce": (None, coalesce),
    "count": (1, lambda value: len(value) if isinstance(value, list) else None),
    "defined": (1, lambda value: value is not None),
    "length": (1, length),
    "lower": (1, _on_text(str.lower)),
    "upper": (1, _on_text(str.upper)),
    "path": (1, _on_text(Path)),
    "string::lower": (1, _on_text(str.lower)),
    "string::upper": (1, _on_text(str.upper)),
    "string::startsWith": (2, starts_with),
}
"""Functions of values alone: how many arguments (None for any), and what they return."""
