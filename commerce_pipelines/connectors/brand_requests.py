"""What is sent to the brand system, checked before it goes out.

Belongs here: fields, ids, keys and versions as bytes and headers. Does not belong
here: sending (`brands`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from commerce_pipelines.connectors.texts import LONGEST_NAME, LONGEST_TEXT, path_part, text_fault
from commerce_pipelines.errors import InvalidInput

FIELDS: Final = ("name", "description", "logo_url")


def brand_path(external_id: str) -> str:
    """Returns the path of a brand.

    Raises:
        InvalidInput: This cannot be an id.
    """
    return f"/brands/{path_part(external_id, 'a brand')}"


def version_text(moment: datetime) -> str:
    """Returns a moment as the brand system writes it: UTC, with microseconds.

    Raises:
        InvalidInput: It has no zone.
    """
    if moment.tzinfo is None:
        raise InvalidInput("A moment without a zone says nothing about another system's time.")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def precondition(seen: datetime) -> dict[str, str]:
    """Returns the header by which a write is for one version only.

    Raises:
        InvalidInput: The moment has no zone.
    """
    return {"If-Unmodified-Since-Version": version_text(seen)}


def fields_body(fields: Mapping[str, str | None]) -> bytes:
    """Returns fields of a brand as JSON.

    Raises:
        InvalidInput: There are none, or one cannot be sent.
    """
    if not fields:
        raise InvalidInput("There is nothing to change.")
    for name, value in fields.items():
        if fault := _fault_of(name, value):
            raise InvalidInput(f"{name} {fault}.")
    return json.dumps(dict(fields), ensure_ascii=False, separators=(",", ":")).encode()


def _fault_of(name: str, value: str | None) -> str | None:
    if name not in FIELDS:
        return "is no field of a brand"
    if name == "name":
        return text_fault(value, LONGEST_NAME)
    return None if value is None else text_fault(value, LONGEST_TEXT, blank=True)
