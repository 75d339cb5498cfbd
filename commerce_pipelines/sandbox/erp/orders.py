"""The ERP's orders, in memory and in the state file.

Belongs here: orders, once for each reference, and how far each may go. Does not
belong here: HTTP, and whether goods are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from commerce_pipelines.sandbox.erp import errors
from commerce_pipelines.sandbox.erp.commits import Commits
from commerce_pipelines.sandbox.erp.order_shapes import Status
from commerce_pipelines.sandbox.erp.timeline import Timeline
from commerce_pipelines.sandbox.moments import moment_text
from commerce_pipelines.sandbox.state_file import StateFile

Order = dict[str, Any]

_ORDERS = "erp/order"
_CANCELLABLE = {Status.DRAFT, Status.CONFIRMED}


class Orders:
    """All orders.

    Args:
        state: Where they survive a restart.
        commits: When a change is, and is seen.
    """

    def __init__(self, state: StateFile, commits: Commits) -> None:
        self._state = state
        self._commits = commits
        self._orders: dict[str, Order] = {}
        self._by_reference: dict[str, list[str]] = {}
        self.changed, self.placed = Timeline(), Timeline()

    def plant(self, seeds: Iterable[Order]) -> None:
        """Begins with these orders and with those that were kept."""
        self._orders = {seed["id"]: seed for seed in seeds} | self._state.load(_ORDERS)
        everything = self._orders.items()
        self.changed = Timeline((each["changed_at"], key) for key, each in everything)
        self.placed = Timeline((each["placed_at"], key) for key, each in everything)
        self._by_reference = {}
        for order_id in sorted(self._orders):
            self._refer(self._orders[order_id])

    def forget(self) -> None:
        """Forgets all changes."""
        self._state.clear(_ORDERS)

    def get(self, order_id: str) -> Order:
        """Returns an order.

        Raises:
            ErpError: There is none.
        """
        order = self._orders.get(order_id)
        if order is None:
            raise errors.no_order(order_id)
        return order

    def under(self, reference: str) -> list[Order]:
        """Returns the orders under a reference: one at most that is not cancelled."""
        return [self._orders[order_id] for order_id in self._by_reference.get(reference, [])]

    def create(self, asked: Mapping[str, Any]) -> tuple[Order, bool]:
        """Makes a draft, once for each reference; returns the order and whether it is new.

        A cancelled order does not count.

        Raises:
            ErpError: There is another one under the reference.
        """
        for known in self.under(asked["reference"]):
            if known["status"] == Status.CANCELLED:
                continue
            if content(known) != content(asked):
                raise errors.order_differs(asked["reference"])
            return known, False
        return self.add([{**asked, "status": Status.DRAFT}])[0], True

    def add(self, asked: Iterable[Mapping[str, Any]]) -> list[Order]:
        """Adds orders as they are asked for, in any status."""
        number = len(self._orders)
        made = []
        for each in asked:
            number += 1
            made.append(
                {
                    "reference": None,
                    **each,
                    "id": f"o-{number:06}",
                    "number": f"SO-{number:06}",
                    "placed_at": moment_text(_moment(each["placed_at"])),
                    "changed_at": self._commits.begin(self.changed.latest),
                }
            )
        self._keep(made)
        return made

    def confirm(self, order_id: str) -> tuple[Order, bool]:
        """Confirms a draft; returns the order and whether it changed.

        Raises:
            ErpError: There is no such order, or it is cancelled.
        """
        order = self.get(order_id)
        if order["status"] == Status.CANCELLED:
            raise errors.order_cancelled(order_id)
        if order["status"] != Status.DRAFT:
            return order, False
        return self.advance(order_id, Status.CONFIRMED), True

    def cancel(self, order_id: str) -> tuple[Order, bool]:
        """Cancels an order; returns it and whether it changed.

        Raises:
            ErpError: There is no such order, or it is worked on.
        """
        order = self.get(order_id)
        if order["status"] == Status.CANCELLED:
            return order, False
        if order["status"] not in _CANCELLABLE:
            raise errors.order_too_far(order_id, order["status"])
        return self.advance(order_id, Status.CANCELLED), True

    def advance(self, order_id: str, status: str, after_seconds: float = 0.0) -> Order:
        """Gives an order another status, whatever that is; seen some seconds later."""
        self.get(order_id)
        moment = self._commits.begin(self.changed.latest)

        def change() -> None:
            order = self._orders[order_id]
            at = max(moment, order["changed_at"])
            self._keep([{**order, "status": status, "changed_at": at}])

        self._commits.commit(change, after_seconds)
        return self.get(order_id)

    def _keep(self, orders: Iterable[Order]) -> None:
        """Makes orders the current ones, durably first."""
        kept = {order["id"]: order for order in orders}
        self._state.save({_ORDERS: kept})
        self._orders |= kept
        for order_id, order in kept.items():
            self.changed.put(order_id, order["changed_at"])
            self.placed.put(order_id, order["placed_at"])
            self._refer(order)

    def _refer(self, order: Order) -> None:
        if order["reference"] is not None:
            listed = self._by_reference.setdefault(order["reference"], [])
            if order["id"] not in listed:
                listed.append(order["id"])


def content(order: Mapping[str, Any]) -> list[Any]:
    """Returns what two orders under one reference must agree in."""
    lines = sorted(
        [line["variant"], line["quantity"], Decimal(line["unit_price"])] for line in order["lines"]
    )
    return [order["currency_code"], *lines]


def _moment(moment: datetime | str) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
