"""Texts of other systems: which can be stored, shown, and sent back.

Belongs here: what is wrong with a text. Does not belong here: what a text means.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from commerce_pipelines.errors import InvalidInput

# As long as the store's own names: they are looked up by an index.
LONGEST_NAME: Final = 255
LONGEST_TEXT: Final = 100_000
_LONGEST_KEY: Final = 255


def text_fault(value: Any, most_characters: int, *, blank: bool = False) -> str | None:
    """Returns what is wrong with a text; None for one that can be stored and sent.

    Args:
        value: What should be a text.
        most_characters: The longest one taken.
        blank: Whether it may say nothing.
    """
    if not isinstance(value, str):
        return "is missing" if value is None else "is no text"
    if not blank and not value.strip():
        return "is blank"
    if len(value) > most_characters:
        return f"is longer than {most_characters} characters"
    if "\x00" in value:
        return "contains a NUL character"
    # Half a character, which JSON can spell and UTF-8 cannot.
    return None if value.isascii() or _encodable(value) else "contains half a character"


def path_part(external_id: str, what: str) -> str:
    """Returns an id as a part of a path.

    Raises:
        InvalidInput: It cannot be the id of such a thing.
    """
    # Dots alone would be taken for a way through the address.
    if text_fault(external_id, LONGEST_NAME) or not external_id.strip("."):
        raise InvalidInput(f"{external_id[:140]!r} cannot be the id of {what}.")
    return quote(external_id, safe="")


def idempotency(key: str) -> dict[str, str]:
    """Returns the header by which a request has one effect.

    Raises:
        InvalidInput: The key cannot be sent.
    """
    if len(key) > _LONGEST_KEY or not header_safe(key):
        raise InvalidInput(f"{key[:140]!r} cannot be an idempotency key.")
    return {"Idempotency-Key": key}


def header_safe(value: str) -> bool:
    """Tells whether a text can be a header's value as it is."""
    return bool(value) and value.isascii() and value.isprintable() and value == value.strip()


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
