"""From the text of a GROQ query to its tokens.

Belongs here: what a token is, and refusing with the place in the text. Does not
belong here: what tokens mean together (`groq_parser.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.sandbox.sanity import errors

_TOKEN = re.compile(
    r"""
    (?P<space>(?:\s+|//[^\n]*)+)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<param>\$[A-Za-z_]\w*)
  | (?P<name>[A-Za-z_]\w*(?:::[A-Za-z_]\w*)?)
  | (?P<sign>\.\.\.|\.\.|->|=>|==|!=|<=|>=|&&|\|\||[*\[\]{}(),:.|!<>@^+/%-])
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Token:
    """One token; `kind` is "end" behind the last one."""

    kind: str
    text: str
    start: int
    end: int


class Tokens:
    """The tokens of a query, read from left to right."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = list(self._split())
        self._at = 0

    def _split(self) -> list[Token]:
        found: list[Token] = []
        position = 0
        while position < len(self._query):
            match = _TOKEN.match(self._query, position)
            if match is None:
                raise errors.query_invalid(
                    self._query, "unexpected character", position, position + 1
                )
            if match.lastgroup != "space":
                found.append(Token(match.lastgroup or "", match[0], position, match.end()))
            position = match.end()
        found.append(Token("end", "", position, position))
        return found

    def peek(self, ahead: int = 0) -> Token:
        """Returns the next token without taking it."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Takes the next token."""
        token = self.peek()
        self._at += 1
        return token

    def next_is(self, *texts: str) -> bool:
        """Tells whether the next token is one of these signs or words."""
        token = self.peek()
        return token.kind in ("sign", "name") and token.text in texts

    def skip(self, text: str) -> bool:
        """Takes the next token if it is this sign or word."""
        if self.next_is(text):
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        """Takes this sign.

        Raises:
            SanityError: Something else is next.
        """
        if not self.skip(text):
            raise self.refusal(f"expected '{text}'")

    def refusal(self, description: str, start: Token | None = None) -> errors.SanityError:
        """Returns the refusal of what stands next, or of everything since `start`."""
        token = self.peek()
        first = start or token
        return errors.query_invalid(self._query, description, first.start, token.end)


def string_value(token: Token) -> str:
    """Returns what a string token stands for."""

    def unescape(match: re.Match[str]) -> str:
        code = match[1]
        if code.startswith("u"):
            return chr(int(code[1:], 16))
        return _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", unescape, token.text[1:-1], flags=re.DOTALL)


def number_value(token: Token) -> Any:
    """Returns what a number token stands for."""
    return int(token.text) if token.text.isdigit() else float(token.text)
