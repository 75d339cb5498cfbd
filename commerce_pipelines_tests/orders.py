"""Orders for tests: as the checkout leaves them, and an ERP made by hand to bring them to."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import Connection, text

from commerce_pipelines.connectors.erp.port import (
    Erp,
    Prices,
    ProductPage,
    PurchaseRules,
    RejectedRecord,
    Stock,
)
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.money import minor_digits
from commerce_pipelines.domain.orders import ErpOrder, ErpOrderLine, PlacedOrder
from commerce_pipelines.domain.price_book import Company
from commerce_pipelines.errors import Conflict, NeedsPerson, NotFound
from commerce_pipelines.services.order_export import announce_order

ADDRESS = {"address_1": "High Street 1", "postal_code": "10115", "city": "Berlin"} | {
    "country_code": "DE"
}
PLACED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

Answer = Exception | Callable[[], None]


def place_order(
    connection: Connection,
    order_id: str = "order_1",
    *,
    currency_code: str = "EUR",
    total_minor: int = 2000,
    placed_at: datetime = PLACED_AT,
    announced: bool = True,
    **changes: Any,
) -> str:
    """Writes an order of two pieces of one variant, as the checkout does; returns its id."""
    unit_price = Decimal(total_minor).scaleb(-minor_digits(currency_code)) / 2
    order = {
        "id": order_id,
        "currency_code": currency_code,
        "total_minor": total_minor,
        "placed_at": placed_at,
        "email": "anna@example.com",
        "address": json.dumps(ADDRESS),
        "unit_price": unit_price,
        "external_id": "v-1",
        "status": "placed",
        **changes,
    }
    connection.execute(_ORDER, order)
    connection.execute(_LINE, order)
    connection.execute(_RESERVATION, order)
    if announced:
        announce_order(connection, order_id)
    return order_id


@dataclass
class FakeErp(Erp):
    """An ERP in memory that can be scripted.

    Attributes:
        orders: Its orders by id.
        asked: Every request in order, as (verb, id or reference).
        now: Its clock, which each change moves by a second.
    """

    orders: dict[str, ErpOrder] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: datetime = PLACED_AT
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _script: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    most_variants = 100
    has_revisions = False

    @property
    def url(self) -> str:
        return "http://erp.example"

    def close(self) -> None:
        """Has nothing open."""

    def answer(self, verb: str, *answers: Answer) -> None:
        """Scripts the next answers to a verb: an error, or something to do before."""
        self._script[verb].extend(answers)

    def times(self, verb: str) -> int:
        """Returns how often a verb was asked."""
        return sum(asked == verb for asked, _ in self.asked)

    def standing(self) -> list[ErpOrder]:
        """Returns the orders that are not cancelled."""
        return [order for order in self.orders.values() if order.status != "cancelled"]

    def put(self, order: ErpOrder) -> ErpOrder:
        """Has an order as it is given."""
        self.orders[order.external_id] = order
        return order

    def change(self, external_id: str, status: str) -> ErpOrder:
        """Gives an order another status, as the ERP's own people do."""
        with self._lock:
            self.now += timedelta(seconds=1)
            changed = replace(self.orders[external_id], status=status, changed_at=self.now)
            return self.put(changed)

    def find_order(self, reference: str) -> ErpOrder | None:
        self._ask("find", reference)
        return self._under(reference)

    def create_order(self, order: PlacedOrder) -> ErpOrder:
        with self._lock:
            self.asked.append(("create", order.id))
            answer = self._next("create")
            if isinstance(answer, Exception) and not getattr(answer, "landed", False):
                raise answer
            if callable(answer):
                answer()
            made = self._under(order.id)
            if made is None or made.status == "cancelled":
                self.now += timedelta(seconds=1)
                external_id = f"o-{next(self._numbers)}"
                made = self.put(as_erp_order(order, external_id, changed_at=self.now))
            if isinstance(answer, Exception):
                raise answer
            return made

    def confirm_order(self, external_id: str) -> ErpOrder:
        return self._move("confirm", external_id, {"draft": "confirmed"}, ("cancelled", Conflict))

    def cancel_order(self, external_id: str) -> ErpOrder:
        moves = {"draft": "cancelled", "confirmed": "cancelled"}
        return self._move("cancel", external_id, moves, ("processing", NeedsPerson))

    def fetch_changed_orders(self, since: datetime) -> Iterator[ErpOrder | RejectedRecord]:
        self._ask("changed", since.isoformat())
        for order in sorted(self.orders.values(), key=lambda each: each.changed_at):
            if order.changed_at >= since:
                yield order

    def fetch_orders(
        self, placed_from: datetime, placed_until: datetime
    ) -> Iterator[ErpOrder | RejectedRecord]:
        self._ask("orders", placed_from.isoformat())
        for order in list(self.orders.values()):
            if placed_from <= order.placed_at < placed_until:
                yield order

    def _move(
        self,
        verb: str,
        external_id: str,
        moves: Mapping[str, str],
        refused: tuple[str, type[Exception]],
    ) -> ErpOrder:
        with self._lock:
            self.asked.append((verb, external_id))
            answer = self._next(verb)
            if isinstance(answer, Exception) and not getattr(answer, "landed", False):
                raise answer
            if callable(answer):
                answer()
            if external_id not in self.orders:
                raise NotFound(f"there is no order {external_id}")
            order = self.orders[external_id]
            if order.status == refused[0]:
                raise refused[1](f"order {external_id} is {order.status}")
            if order.status in moves:
                order = self.change(external_id, moves[order.status])
            if isinstance(answer, Exception):
                raise answer
            return order

    def _under(self, reference: str) -> ErpOrder | None:
        found = [each for each in self.orders.values() if each.reference == reference]
        found.sort(key=lambda each: (each.status == "cancelled", each.external_id))
        return found[0] if found else None

    def _ask(self, verb: str, what: str) -> None:
        with self._lock:
            self.asked.append((verb, what))
            answer = self._next(verb)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            answer()

    def _next(self, verb: str) -> Answer | None:
        return self._script[verb].pop(0) if self._script[verb] else None

    # What orders do not need.

    def fetch_products(self, since: datetime | None) -> Iterator[ProductPage]:
        raise NotImplementedError

    def fetch_prices(
        self, variants: Sequence[str], currency_code: str, customer_group: str
    ) -> Prices:
        raise NotImplementedError

    def fetch_stock(self, variants: Sequence[str]) -> Stock:
        raise NotImplementedError

    def fetch_purchase_rules(
        self, companies: Sequence[str], variants: Sequence[str]
    ) -> PurchaseRules:
        raise NotImplementedError

    def fetch_companies(self, names: Sequence[str]) -> Mapping[str, Company]:
        raise NotImplementedError

    def find_product(self, external_id: str) -> ErpProduct | None:
        raise NotImplementedError

    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        raise NotImplementedError


def landed(error: Exception) -> Exception:
    """Returns an error that comes although the request had its effect."""
    error.landed = True  # type: ignore[attr-defined]
    return error


def as_erp_order(order: PlacedOrder, external_id: str, **changes: Any) -> ErpOrder:
    """Returns an order as the ERP has it; a draft unless it is said."""
    made = ErpOrder(
        external_id=external_id,
        number=f"SO-{external_id}",
        reference=order.id,
        status="draft",
        currency_code=order.currency_code,
        total=Decimal(order.total_minor).scaleb(-minor_digits(order.currency_code)),
        placed_at=order.placed_at,
        changed_at=order.placed_at,
        lines=tuple(
            ErpOrderLine(line.external_id, line.quantity, line.unit_price) for line in order.lines
        ),
    )
    return replace(made, **changes)


def erp_order(external_id: str, reference: str | None = None, **changes: Any) -> ErpOrder:
    """Returns an order of the ERP, confirmed, of 20 euros, unless it is said otherwise."""
    made = ErpOrder(
        external_id=external_id,
        number=None,
        reference=reference,
        status="confirmed",
        currency_code="EUR",
        total=Decimal("20.00"),
        placed_at=PLACED_AT,
        changed_at=PLACED_AT,
        lines=(),
    )
    return replace(made, **changes)


_ORDER = text("""
    INSERT INTO store_order (id, email, currency_code, total_minor, shipping_address,
                             billing_address, status, placed_at)
    VALUES (:id, :email, :currency_code, :total_minor, CAST(:address AS jsonb),
            CAST(:address AS jsonb), :status, :placed_at)""")

_LINE = text("""
    INSERT INTO order_line (order_id, position, variant_id, external_id, sku, title, quantity,
                            unit_price, total_minor)
    VALUES (:id, 0, 'variant_1', :external_id, 'SKU-1', 'Mug', 2, :unit_price, :total_minor)""")

_RESERVATION = text("""
    INSERT INTO reservation (order_id, variant_id, quantity, expires_at)
    VALUES (:id, 'variant_1', 2, now() + interval '15 minutes')""")
