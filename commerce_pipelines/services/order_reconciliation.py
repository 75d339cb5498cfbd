"""A day's orders here and in the ERP, compared; what differs is named, and replaces what was known.

    the store's orders of the day, one statement ─┐
                                                  ├─► compare ─► discrepancies of the day
    the ERP's orders of the day, in bulk ─────────┘                  └─► repair, if asked to

An order belongs to the day on which it was placed here; one that only the ERP has, to its
day there. So an order that lies at midnight, and on the other side behind it, is compared
and not missing. A repair only puts messages into the inbox: what is missing is exported,
and a newer status imported, by the sagas that always do it. What has no right answer is
left to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.erp.port import Erp, RejectedRecord
from commerce_pipelines.domain.orders import STATUS_OF, ErpOrder, OrderStatus
from commerce_pipelines.domain.reconciliation import Discrepancy, Kind, TheirOrder, day_bounds
from commerce_pipelines.services.order_export import announce_order
from commerce_pipelines.services.order_status_import import TOPIC, part_of
from commerce_pipelines.store import message_operations, messages
from commerce_pipelines.store.discrepancies import replace_day
from commerce_pipelines.store.orders import OrderFacts, orders_between, orders_known_as

SOURCE: Final = "reconciliation"
# An order takes this long to the ERP when all is well, and the ERP a while to answer.
GRACE: Final = timedelta(minutes=15)
# So many orders that are not among the day's are looked up one by one.
MOST_LOOKED_UP: Final = 500


@dataclass(frozen=True)
class ReconciledDay:
    """What came of a day.

    Attributes:
        ours: How many orders the store has.
        theirs: How many the ERP has.
        found: What differs.
        repaired_by: For each of these the message that repairs it, or None.
    """

    day: date
    ours: int
    theirs: int
    found: list[Discrepancy]
    repaired_by: list[str | None]


@dataclass(frozen=True)
class OrderReconciliation:
    """The flow, with what it works on.

    Attributes:
        engine: The store.
        erp: The ERP.
        time_zone: Of the shop's days (IANA).
        run_id: Who is working.
    """

    engine: Engine
    erp: Erp
    time_zone: str
    run_id: str

    def reconcile(self, day: date, *, repair: bool = False) -> ReconciledDay:
        """Compares a day and replaces what is known of it; repairs what has one right answer.

        Raises:
            CommerceError: The ERP does not answer; what is known of the day stays.
        """
        # pandas starts threads when it is imported, and a process with threads cannot be forked.
        from commerce_pipelines.services.order_comparison import compare  # noqa: PLC0415

        first, last = day_bounds(day, self.time_zone)
        with self.engine.connect() as connection:
            ours = orders_between(connection, first, last)
        theirs = [_facts(each) for each in self.erp.fetch_orders(first, last)]
        count = len(theirs)
        theirs = [*self._of_this_day(ours, theirs), *self._of_other_days(ours, theirs)]
        found = compare(ours, theirs, datetime.now(UTC) - GRACE)
        with self.engine.begin() as connection:
            known = {each.id: each for each in ours}
            repaired = [
                self._repair(connection, each, known.get(each.order_id or "")) if repair else None
                for each in found
            ]
            replace_day(connection, day, self.run_id, found, repaired)
        return ReconciledDay(day, len(ours), count, found, repaired)

    def _of_this_day(
        self, ours: Iterable[OrderFacts], theirs: Iterable[TheirOrder]
    ) -> Iterator[TheirOrder]:
        """Yields the ERP's orders, but those that the store has on another day."""
        theirs = list(theirs)
        ids, links = {each.id for each in ours}, {each.external_id for each in ours}
        strangers = [
            each for each in theirs if each.external_id not in links and each.reference not in ids
        ]
        if not strangers:
            yield from theirs
            return
        with self.engine.connect() as connection:
            elsewhere = orders_known_as(
                connection,
                [each.external_id for each in strangers],
                [each.reference for each in strangers if each.reference],
            )
        other_ids = {each.id for each in elsewhere}
        other_links = {each.external_id for each in elsewhere}
        for each in theirs:
            if each.external_id not in other_links and each.reference not in other_ids:
                yield each

    def _of_other_days(
        self, ours: Iterable[OrderFacts], theirs: Iterable[TheirOrder]
    ) -> Iterator[TheirOrder]:
        """Yields the ERP's orders of ours that it has on another day."""
        links = {each.external_id for each in theirs}
        references = {each.reference for each in theirs}
        absent = [
            each
            for each in ours
            if each.external_id not in links
            and each.id not in references
            and (each.external_id or each.status != OrderStatus.CANCELLED)
        ]
        for each in absent if len(absent) <= MOST_LOOKED_UP else []:
            found = self.erp.find_order(each.id)
            if found is not None and found.external_id not in links:
                yield _facts(found)

    def _repair(
        self, connection: Connection, found: Discrepancy, known: OrderFacts | None
    ) -> str | None:
        """Puts the message into the inbox that repairs a discrepancy; returns which."""
        if known is None:
            return None
        if found.kind is Kind.MISSING_IN_ERP and not known.external_id:
            if known.status != OrderStatus.PLACED:
                return None
            message_id = announce_order(connection, known.id)
        elif found.kind is Kind.STATUS_DIFFERS and _is_newer(found, known):
            message_id = self._tell(connection, found)
        else:
            return None
        self._do_again(connection, message_id)
        return f"message {message_id}"

    def _tell(self, connection: Connection, found: Discrepancy) -> int:
        """Has the ERP's status imported, as if it had been delivered."""
        update = {
            "id": found.external_id,
            "reference": found.order_id,
            "status": found.there,
            "changed_at": found.changed_at,
        }
        webhook_id = f"{found.external_id}:{found.changed_at}"
        receipt = messages.receive(connection, SOURCE, webhook_id, TOPIC, [part_of(update)])
        return receipt.message_ids[0]

    def _do_again(self, connection: Connection, message_id: int) -> None:
        """Has a message worked on again that was given up, or done without effect."""
        message = message_operations.load_message(connection, message_id)
        if message["state"] in message_operations.REPLAYABLE:
            why = "the reconciliation found that it had no effect"
            message_operations.replay(connection, [message_id], f"run {self.run_id}", why)


def _facts(order: ErpOrder | RejectedRecord) -> TheirOrder:
    if isinstance(order, RejectedRecord):
        fault = f"cannot be read: {order.reason}"
        return TheirOrder(order.external_id or "?", None, "", "0", "", "", fault)
    return TheirOrder(
        external_id=order.external_id,
        reference=order.reference,
        currency_code=order.currency_code,
        total=str(order.total),
        status=order.status,
        changed_at=order.changed_at.isoformat(),
    )


def _is_newer(found: Discrepancy, known: OrderFacts) -> bool:
    """Tells whether the ERP's status is one that we know, and was said after what we have."""
    if found.there not in STATUS_OF or found.changed_at is None:
        return False
    heard = known.erp_changed_at
    return heard is None or datetime.fromisoformat(found.changed_at) > heard
