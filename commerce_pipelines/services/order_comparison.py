"""Comparing a day's orders of both sides, as tables.

Orders match by the ERP's id that we know, else by our id as its reference. Amounts are
compared exactly: whole minor units here, all digits there. Does not belong here: where the
orders come from (`order_reconciliation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import ROUND_UP, Decimal
from typing import Final

import pandas as pd

from commerce_pipelines.domain.money import minor_digits
from commerce_pipelines.domain.orders import STATUS_OF, OrderStatus
from commerce_pipelines.domain.reconciliation import Discrepancy, Kind, TheirOrder
from commerce_pipelines.store.orders import OrderFacts

NO_CURRENCY: Final = "XXX"

Pair = tuple[OrderFacts, TheirOrder]


def compare(
    ours: Sequence[OrderFacts], theirs: Sequence[TheirOrder], exported_until: datetime
) -> list[Discrepancy]:
    """Returns what differs between a day's orders, kind by kind.

    Args:
        ours: The store's orders.
        theirs: The ERP's.
        exported_until: An order placed later may still be on its way to the ERP.
    """
    here = pd.DataFrame.from_records(ours, columns=OrderFacts._fields)
    there = pd.DataFrame.from_records(theirs, columns=TheirOrder._fields)
    pairs = _matched(here, there)
    only_here = here.index.difference(pd.Index(pairs["ours"]))
    only_there = there.index.difference(pd.Index(pairs["theirs"]))
    matched = zip(pairs["ours"].tolist(), pairs["theirs"].tolist(), strict=True)
    both = [(ours[left], theirs[right]) for left, right in matched]
    ids = {each.id for each in ours}
    return [
        *_missing_there((ours[row] for row in only_here.tolist()), exported_until),
        *_missing_here((theirs[row] for row in only_there.tolist()), ids),
        *_different_amounts(both),
        *_different_statuses(both),
    ]


def _matched(here: pd.DataFrame, there: pd.DataFrame) -> pd.DataFrame:
    """Returns which row here is which there: `ours` and `theirs`, each at most once."""
    left = pd.DataFrame(
        {"ours": here.index, "external_id": here["external_id"], "reference": here["id"]}
    )
    right = there[["external_id", "reference"]].assign(
        theirs=there.index,
        is_cancelled=there["status"].map(STATUS_OF) == OrderStatus.CANCELLED,
    )
    linked = left.dropna(subset=["external_id"]).merge(right, on="external_id")
    # A cancelled order under our id is a draft of an export that was undone.
    standing = right[~right["is_cancelled"] & ~right["theirs"].isin(linked["theirs"])]
    named = standing.dropna(subset=["reference"]).sort_values("external_id")
    rest = left[~left["ours"].isin(linked["ours"])]
    referred = rest.merge(named.drop_duplicates("reference"), on="reference")
    columns = ["ours", "theirs"]
    return pd.concat([linked[columns], referred[columns]], ignore_index=True).astype("int64")


def _missing_there(
    only_here: Iterable[OrderFacts], exported_until: datetime
) -> Iterator[Discrepancy]:
    for order in only_here:
        is_expected = order.external_id or (
            order.status != OrderStatus.CANCELLED and order.placed_at <= exported_until
        )
        if is_expected:
            yield Discrepancy(
                Kind.MISSING_IN_ERP,
                order.id,
                order.external_id,
                order.currency_code,
                f"{_amount(order)}, {order.status}",
                None,
                order.total_minor,
            )


def _missing_here(only_there: Iterable[TheirOrder], our_ids: set[str]) -> Iterator[Discrepancy]:
    for order in only_there:
        if order.reference in our_ids and STATUS_OF.get(order.status) is OrderStatus.CANCELLED:
            continue
        yield Discrepancy(
            Kind.MISSING_IN_STORE,
            order.reference,
            order.external_id,
            order.currency_code or NO_CURRENCY,
            None,
            order.fault or f"{order.total} {order.currency_code}, {order.status}",
            _whole(_minor(order)),
            order.changed_at or None,
        )


def _different_amounts(both: Iterable[Pair]) -> Iterator[Discrepancy]:
    for pair in both:
        ours, theirs = pair
        is_same_currency = ours.currency_code == theirs.currency_code
        there = _minor(theirs)
        if not is_same_currency or there != ours.total_minor:
            apart = abs(there - ours.total_minor) if is_same_currency else Decimal(ours.total_minor)
            values = (_amount(ours), f"{theirs.total} {theirs.currency_code}")
            yield _differs(Kind.AMOUNT_DIFFERS, pair, values, _whole(apart))


def _different_statuses(both: Iterable[Pair]) -> Iterator[Discrepancy]:
    for pair in both:
        ours, theirs = pair
        if STATUS_OF.get(theirs.status) != ours.status:
            values = (ours.status, theirs.status)
            yield _differs(Kind.STATUS_DIFFERS, pair, values, ours.total_minor)


def _differs(kind: Kind, pair: Pair, values: tuple[str, str], amount_minor: int) -> Discrepancy:
    ours, theirs = pair
    return Discrepancy(
        kind,
        ours.id,
        theirs.external_id,
        ours.currency_code,
        *values,
        amount_minor,
        theirs.changed_at,
    )


def _minor(order: TheirOrder) -> Decimal:
    """Returns a total in the currency's minor unit, with whatever digits are left over."""
    return Decimal(order.total).scaleb(minor_digits(order.currency_code))


def _whole(minor: Decimal) -> int:
    """Returns an amount as a whole number; what is not nothing does not become nothing."""
    return int(minor.to_integral_value(ROUND_UP))


def _amount(order: OrderFacts) -> str:
    digits = minor_digits(order.currency_code)
    return f"{Decimal(order.total_minor).scaleb(-digits):.{digits}f} {order.currency_code}"
