"""How Tryton spells values: its classes in JSON, and JSON in base64.

Belongs here: one value, both ways, exactly. Does not belong here: which records are
asked for (`tryton_records`).

Decimals, moments and dates travel as objects that name their class; moments have no
zone and are UTC.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from commerce_pipelines.errors import InvalidInput

Row = dict[str, Any]
Domain = list[Any]

_MOMENT: Final = ("year", "month", "day", "hour", "minute", "second", "microsecond")
_DATE: Final = _MOMENT[:3]


def to_json(value: Any) -> bytes:
    """Returns a value as Tryton's JSON."""
    return json.dumps(value, default=_with_class, separators=(",", ":")).encode()


def to_base64(value: Any) -> str:
    """Returns a value as it stands in a header or a query."""
    return base64.urlsafe_b64encode(to_json(value)).decode()


def from_json(value: Any) -> Any:
    """Returns a parsed answer with its values in place of the objects that name a class.

    Raises:
        ValueError: An object cannot be read.
    """
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "__class__" in value:
        return _from_class(value)
    return {name: from_json(each) for name, each in value.items()}


def aware(moment: datetime | None) -> datetime | None:
    """Returns the moment, which must have a zone.

    Raises:
        InvalidInput: It has none.
    """
    if moment is not None and moment.tzinfo is None:
        raise InvalidInput("A moment without a zone says nothing about another system's time.")
    return moment


def _with_class(value: object) -> dict[str, object]:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return {"__class__": "datetime", **{part: getattr(moment, part) for part in _MOMENT}}
    if isinstance(value, date):
        return {"__class__": "date", **{part: getattr(value, part) for part in _DATE}}
    raise TypeError(f"{type(value).__name__} cannot be sent to Tryton")


def _from_class(value: Mapping[str, Any]) -> Any:
    kind = value["__class__"]
    try:
        if kind == "Decimal":
            return Decimal(value["decimal"])
        if kind == "datetime":
            return datetime(*(value[part] for part in _MOMENT)).replace(tzinfo=UTC)
        if kind == "date":
            return date(*(value[part] for part in _DATE))
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no {kind}") from error
    return dict(value)
