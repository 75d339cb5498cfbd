"""Single values in the answers of the reference contract.

Belongs here: telling a text, an amount, a moment from what is none. Does not belong
here: records (`rest_rows`, `rest_orders`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.texts import LONGEST_NAME, LONGEST_TEXT, text_fault
from commerce_pipelines.domain.money import unit_price

Row = dict[str, Any]
Record = TypeVar("Record")

LARGEST_COUNT: Final = 2**31 - 1
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class FieldError(ValueError):
    """A value is none; says which and why."""


def read_record(row: Any, read: Callable[[Row], Record]) -> Record | RejectedRecord:
    """Reads a record; what is none comes back with the reason."""
    if not isinstance(row, dict):
        return RejectedRecord(None, "is no object")
    try:
        return read(row)
    except FieldError as error:
        external_id = row.get("id", row.get("variant"))
        known = text_fault(external_id, LONGEST_NAME) is None
        return RejectedRecord(external_id if known else None, str(error))


def name_in(row: Row, field: str) -> str:
    """Returns a text that is needed and says something."""
    value = row.get(field)
    if fault := text_fault(value, LONGEST_NAME):
        raise FieldError(f"{field} {fault}")
    return str(value)


def name_or_none(row: Row, field: str) -> str | None:
    """Returns a text that may be null."""
    return None if row.get(field) is None else name_in(row, field)


def text_in(row: Row, field: str) -> str:
    """Returns a long text that is needed."""
    value = row.get(field)
    if fault := text_fault(value, LONGEST_TEXT, blank=True):
        raise FieldError(f"{field} {fault}")
    return str(value)


def flag_in(row: Row, field: str) -> bool:
    """Returns true or false."""
    value = row.get(field)
    if not isinstance(value, bool):
        raise FieldError(f"{field} is neither true nor false")
    return value


def count_in(row: Row, field: str) -> int:
    """Returns a whole number from 1 on."""
    value = row.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_COUNT:
        raise FieldError(f"{field} is no whole number from 1 on")
    return value


def rows_in(row: Row, field: str) -> list[Row]:
    """Returns a list of objects."""
    value = row.get(field)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise FieldError(f"{field} is no list of objects")
    return value


def number_in(row: Row, field: str) -> Decimal:
    """Returns an exact number; only text is exact."""
    value = row.get(field)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise FieldError(f"{field} is no decimal text")
    return Decimal(value)


def money_in(row: Row, field: str) -> Decimal:
    """Returns an amount that is not negative and has four decimals at most."""
    exact = number_in(row, field)
    try:
        amount = unit_price(exact)
    except ValueError as error:
        raise FieldError(f"{field} {error}") from None
    if amount != exact:
        raise FieldError(f"{field} has more than four decimals")
    return amount


def moment_in(row: Row, field: str) -> datetime:
    """Returns a moment in UTC."""
    value = row.get(field)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise FieldError(f"{field} is no moment with a zone")
