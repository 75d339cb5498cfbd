"""JSON as we accept it: RFC 8259 without the traps that Python's parser lets through.

Refused: NaN and Infinity, numbers outside the range of a double, duplicate
keys, nesting deeper than 32. Numbers with a fraction become `Decimal`, so money
never passes through a float. Half a character (a lone surrogate) is read: who takes
the text refuses it, so that it costs one product and not its list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from json import JSONDecodeError
from typing import Any, NoReturn

from commerce_pipelines.errors import InvalidInput

DEEPEST = 32
LARGEST_ITEM_CHARS = 4_000_000
_LONGEST_NUMBER = 64
_WHITESPACE = " \t\n\r"


class NoSuchArray(InvalidInput):
    """The document is an object without an array where one is expected."""


def loads(body: bytes | str) -> Any:
    """Parses one JSON document.

    Raises:
        InvalidInput: It is not JSON as described above.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8: byte {error.start}.") from error
    except RecursionError as error:
        raise InvalidInput(_TOO_DEEP) from error
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}") from error
    check_depth(value)
    return value


def iterate_array(chunks: Iterable[str], key: str | None = None) -> Iterator[tuple[Any, str]]:
    """Parses a JSON array item by item, holding one item in memory at a time.

    Args:
        chunks: The document in pieces of any size.
        key: Also accept an object that has the array under this key.

    Yields:
        Each item and its own text.

    Raises:
        InvalidInput: It is not JSON as described above, or neither array nor object.
        NoSuchArray: It is an object without such an array.
    """
    reader = _Reader(chunks)
    if key is not None and reader.peek() == "{":
        yield from _array_under(reader, key)
    elif reader.peek() == "[":
        yield from _items(reader)
    else:
        reader.value()
        raise InvalidInput(_expectation(key))
    if reader.peek():
        raise InvalidInput("There is something behind the end of the document.")


def _array_under(reader: _Reader, key: str) -> Iterator[tuple[Any, str]]:
    names: set[str] = set()
    for _ in _elements(reader, "{", "}"):
        name, _text = reader.value()
        if not isinstance(name, str):
            raise InvalidInput("A name in an object is not a text.")
        if name in names:
            raise InvalidInput(f"The key {name[:80]!r} appears twice in one object.")
        names.add(name)
        reader.expect(":")
        if name == key and reader.peek() == "[":
            yield from _items(reader)
        elif name == key:
            raise NoSuchArray(_expectation(key))
        else:
            reader.value()
    if key not in names:
        raise NoSuchArray(_expectation(key))


def _items(reader: _Reader) -> Iterator[tuple[Any, str]]:
    for _ in _elements(reader, "[", "]"):
        yield reader.value()


def _elements(reader: _Reader, opening: str, closing: str) -> Iterator[None]:
    """Steps over brackets and commas; the caller reads what stands between them."""
    reader.expect(opening)
    if reader.peek() != closing:
        yield
        while reader.peek() == ",":
            reader.expect(",")
            yield
    reader.expect(closing)


def _expectation(key: str | None) -> str:
    other = "" if key is None else f', or an object with one under "{key}"'
    return f"Expected an array{other}."


class _Reader:
    """Walks over a document of which only the unread rest is in memory."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._buffer = ""
        self._at = 0

    def peek(self) -> str:
        """Returns the next character that is not white space, or nothing at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _WHITESPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def expect(self, character: str) -> None:
        """Steps over one character.

        Raises:
            InvalidInput: Another one is there.
        """
        found = self.peek()
        if found != character:
            raise InvalidInput(f"Expected {character!r}, found {found or 'the end'!r}.")
        self._at += 1

    def value(self) -> tuple[Any, str]:
        """Reads one value and returns it with its text."""
        self.peek()
        needed = 0
        while True:
            if len(self._buffer) - self._at >= needed:
                read = self._try_value()
                if read is not None:
                    return read
                needed = 2 * (len(self._buffer) - self._at)
            if not self._more():
                # The end is here: what did not parse never will, so let it say why.
                value, end = _decode(self._buffer, self._at)
                return self._take(value, end)

    def _try_value(self) -> tuple[Any, str] | None:
        try:
            value, end = _decode(self._buffer, self._at)
        except InvalidInput:
            if len(self._buffer) - self._at > LARGEST_ITEM_CHARS:
                raise
            return None
        # A number at the very end may go on in the next chunk.
        return self._take(value, end) if end < len(self._buffer) else None

    def _take(self, value: Any, end: int) -> tuple[Any, str]:
        text = self._buffer[self._at : end]
        self._at = end
        # An item lies inside the array, so one level less is left for it.
        check_depth([value])
        return value, text

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True


def _decode(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError as error:
        raise InvalidInput(_TOO_DEEP) from error
    except JSONDecodeError as error:
        raise InvalidInput(f"The body is not JSON: {error.msg}") from error
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} appears twice in one object")
    return members


def _decimal(digits: str) -> Decimal:
    if len(digits) > _LONGEST_NUMBER or abs(number := Decimal(digits)) > Decimal("1e308"):
        raise ValueError("a number is out of range")
    return number


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number is out of range")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def check_depth(value: Any) -> None:
    """Checks that a value is not nested too deeply.

    Raises:
        InvalidInput: It is.
    """
    level = [value]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return
    raise InvalidInput(_TOO_DEEP)


def _containers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, dict | list)]
    if isinstance(value, list):
        return [child for child in value if isinstance(child, dict | list)]
    return []


_TOO_DEEP = f"The body is nested deeper than {DEEPEST} levels."
_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=_refuse_constant,
)
