"""What a reconciliation finds between the store's orders and the ERP's, and of which day.

Belongs here: the shapes, and a day's length. Does not belong here: comparing
(`services/order_comparison`), and what is done about a discrepancy.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    """What is wrong with an order."""

    MISSING_IN_ERP = "missing_in_erp"
    MISSING_IN_STORE = "missing_in_store"
    AMOUNT_DIFFERS = "amount_differs"
    STATUS_DIFFERS = "status_differs"


class TheirOrder(NamedTuple):
    """What is compared of an order of the ERP.

    Attributes:
        total: Its digits in the currency's main unit, exact.
        changed_at: In the ERP's time, ISO 8601.
        fault: Why it cannot be read; the rest is then empty.
    """

    external_id: str
    reference: str | None
    currency_code: str
    total: str
    status: str
    changed_at: str
    fault: str | None = None


class Discrepancy(NamedTuple):
    """One thing that differs, with both sides' values as people write them.

    Attributes:
        here: What the store has; None if it has no such order.
        there: What the ERP has; None likewise.
        amount_minor: How much money is in question, in the currency's minor unit: the order's
            total, or how far two totals lie apart.
        changed_at: When the ERP's order was last changed there.
    """

    kind: Kind
    order_id: str | None
    external_id: str | None
    currency_code: str
    here: str | None
    there: str | None
    amount_minor: int
    changed_at: str | None = None


def day_bounds(day: date, time_zone: str) -> tuple[datetime, datetime]:
    """Returns a day's first moment and the next day's, in UTC: 23, 24 or 25 hours apart.

    Where midnight is left out by a change of the clocks, the day begins with that change;
    where it comes twice, with the first.
    """
    zone = ZoneInfo(time_zone)
    first, last = (
        datetime.combine(each, time.min, zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return first, last
