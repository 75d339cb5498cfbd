"""A hand-made ERP behind the port: products in memory, scripted faults, a list of calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from commerce_pipelines.connectors.erp.port import (
    Erp,
    Prices,
    ProductPage,
    PurchaseRules,
    RejectedRecord,
    Stock,
)
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.domain.orders import ErpOrder, PlacedOrder
from commerce_pipelines.domain.price_book import Company
from commerce_pipelines.errors import Conflict, NotFound

START = datetime(2026, 1, 1, tzinfo=UTC)


def erp_variant(code: str, **changes: object) -> ErpVariant:
    """Returns a variant with an id and a SKU."""
    given = ErpVariant(f"E{code}", f"sku-{code}", code, (("Size", code.rsplit("-", 1)[-1]),))
    return replace(given, **changes)  # type: ignore[arg-type]


def details(title: str, *variants: ErpVariant, description: str | None = None) -> ErpDetails:
    """Returns what may be changed of a product."""
    return ErpDetails(title, description, variants)


@dataclass
class FakeErp(Erp):
    """An ERP that has what a test puts into it.

    Attributes:
        has_revisions: Whether a write after somebody else's is refused.
        products: By id, in the order of their changes.
        page_size: How many products a page holds.
        rejected: Put on the first page.
        asked: The name of each operation that was called, in order.
        before_answer: By operation, what happens first, once each: raises or changes something.
        after_write: What happens between a write and its answer, once each.
    """

    most_variants = 500
    has_revisions: bool = True  # type: ignore[misc]
    products: dict[str, ErpProduct] = field(default_factory=dict)
    page_size: int = 2
    rejected: tuple[RejectedRecord, ...] = ()
    asked: list[str] = field(default_factory=list)
    before_answer: dict[str, deque[Callable[[], object]]] = field(default_factory=dict)
    after_write: deque[Callable[[], object]] = field(default_factory=deque)
    keys: set[str] = field(default_factory=set)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def put(self, external_id: str, details: ErpDetails, *, active: bool = True) -> ErpProduct:
        """Has the ERP's own people create or change a product."""
        number = next(self._numbers)
        named = replace(
            details,
            variants=tuple(
                v if v.external_id else replace(v, external_id=f"N{next(self._numbers)}")
                for v in details.variants
            ),
        )
        changed_at = START + timedelta(seconds=number)
        product = ErpProduct(external_id, named, active, changed_at, f"r{number}")
        self.products.pop(external_id, None)
        self.products[external_id] = product
        return product

    def script(self, operation: str, *happenings: Callable[[], object]) -> None:
        """Has something happen before the next answers of an operation."""
        self.before_answer.setdefault(operation, deque()).extend(happenings)

    @property
    def url(self) -> str:
        """The address that nobody asks."""
        return "http://erp.invalid"

    def close(self) -> None:
        """Does nothing."""

    def fetch_products(self, since: datetime | None) -> Iterator[ProductPage]:
        """Pages through what changed, oldest change first."""
        wanted = [p for p in self.products.values() if since is None or p.changed_at >= since]
        if not wanted:
            self._begin("fetch_products")
            yield ProductPage((), self.rejected, since)
        for start in range(0, len(wanted), self.page_size):
            self._begin("fetch_products")
            page = tuple(wanted[start : start + self.page_size])
            yield ProductPage(page, () if start else self.rejected, page[-1].changed_at)

    def find_product(self, external_id: str) -> ErpProduct | None:
        """Returns a product."""
        self._begin("find_product")
        return self._seen(external_id)

    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        """Changes a product, once a key."""
        self._begin("write_product")
        now = self._seen(external_id)
        if now is None:
            raise NotFound(f"The ERP has no product {external_id}.")
        if idempotency_key not in self.keys:
            if now != seen:
                raise Conflict("It has changed since.")
            self.put(external_id, details, active=now.is_active)
            self.keys.add(idempotency_key)
        if self.after_write:
            self.after_write.popleft()()
        found = self._seen(external_id)
        assert found
        return found

    def _seen(self, external_id: str) -> ErpProduct | None:
        found = self.products.get(external_id)
        return found if found is None or self.has_revisions else replace(found, revision=None)

    def _begin(self, operation: str) -> None:
        self.asked.append(operation)
        waiting = self.before_answer.get(operation)
        if waiting:
            waiting.popleft()()

    def fetch_prices(
        self, variants: Sequence[str], currency_code: str, customer_group: str
    ) -> Prices:
        """Is not asked."""
        raise NotImplementedError

    def fetch_stock(self, variants: Sequence[str]) -> Stock:
        """Is not asked."""
        raise NotImplementedError

    def fetch_purchase_rules(
        self, companies: Sequence[str], variants: Sequence[str]
    ) -> PurchaseRules:
        """Is not asked."""
        raise NotImplementedError

    def fetch_companies(self, names: Sequence[str]) -> Mapping[str, Company]:
        """Is not asked."""
        raise NotImplementedError

    def find_order(self, reference: str) -> ErpOrder | None:
        """Is not asked."""
        raise NotImplementedError

    def create_order(self, order: PlacedOrder) -> ErpOrder:
        """Is not asked."""
        raise NotImplementedError

    def confirm_order(self, external_id: str) -> ErpOrder:
        """Is not asked."""
        raise NotImplementedError

    def cancel_order(self, external_id: str) -> ErpOrder:
        """Is not asked."""
        raise NotImplementedError

    def fetch_changed_orders(self, since: datetime) -> Iterator[ErpOrder | RejectedRecord]:
        """Is not asked."""
        raise NotImplementedError

    def fetch_orders(
        self, placed_from: datetime, placed_until: datetime
    ) -> Iterator[ErpOrder | RejectedRecord]:
        """Is not asked."""
        raise NotImplementedError


def failing(error: Exception) -> Callable[[], object]:
    """Returns something that happens: an error."""

    def happen() -> object:
        raise error

    return happen
