"""A hand-made ERP that says prices, stock and rules, and variants here that it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from commerce_pipelines.connectors.erp.port import (
    Prices,
    PurchaseRules,
    RejectedRecord,
    Stock,
)
from commerce_pipelines.domain.price_book import EVERYBODY, Company, PriceTier, StockLevel
from commerce_pipelines.services.price_changes import deliver
from commerce_pipelines_tests.services.erp_by_hand import FakeErp

PRICES = (
    "SELECT variant_id, currency_code, customer_group, amounts FROM price_book ORDER BY 1, 2, 3"
)

Key = tuple[str, str, str]


@dataclass
class PricedErp(FakeErp):
    """An ERP that says what a test puts into it.

    Attributes:
        prices: Tiers by variant, currency and group; not for sale without.
        unreadable: Variants whose price cannot be read, with the reason.
        levels: Stock by variant.
        forbidden: Pairs of company and variant.
        companies: By name.
        clock: What the ERP takes for now; None for the true time.
    """

    prices: dict[Key, tuple[PriceTier, ...]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    levels: dict[str, StockLevel] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    companies: dict[str, Company] = field(default_factory=dict)
    clock: datetime | None = None
    sizes: list[int] = field(default_factory=list)

    def price(self, variant: str, amount: str, currency: str = "EUR", group: str = "") -> None:
        """Has the ERP sell a variant."""
        self.prices[variant, currency, group] = (PriceTier(1, Decimal(amount)),)

    def stock(self, variant: str, available: int, *, beyond: bool = False) -> None:
        """Has the ERP count a variant."""
        self.levels[variant] = StockLevel(available, beyond)

    @property
    def now(self) -> datetime:
        """What the ERP takes for now."""
        return self.clock or datetime.now(UTC)

    def fetch_prices(
        self, variants: Sequence[str], currency_code: str, customer_group: str
    ) -> Prices:
        """Says prices."""
        as_of = self.now
        self._begin("fetch_prices")
        self.sizes.append(len(variants))
        readable = [each for each in variants if each not in self.unreadable]
        rejected = [RejectedRecord(v, self.unreadable[v]) for v in variants if v in self.unreadable]
        key = (currency_code, customer_group)
        tiers = {each: self.prices.get((each, *key)) for each in readable}
        return Prices(as_of, tiers, tuple(rejected))

    def fetch_stock(self, variants: Sequence[str]) -> Stock:
        """Says stock."""
        as_of = self.now
        self._begin("fetch_stock")
        return Stock(as_of, {v: self.levels[v] for v in variants if v in self.levels})

    def fetch_purchase_rules(
        self, companies: Sequence[str], variants: Sequence[str]
    ) -> PurchaseRules:
        """Says who may not buy what."""
        as_of = self.now
        self._begin("fetch_purchase_rules")
        wanted = {(c, v) for c in companies for v in variants}
        return PurchaseRules(as_of, frozenset(self.forbidden & wanted))

    def fetch_companies(self, names: Sequence[str]) -> Mapping[str, Company]:
        """Says who is who."""
        self._begin("fetch_companies")
        return {name: self.companies[name] for name in names if name in self.companies}


def sold(engine: Engine, *codes: str, currency: str = "EUR") -> None:
    """Puts products with one variant each into the store, known to the ERP as `E…`."""
    with engine.begin() as connection:
        for code in codes:
            names = {"code": code, "currency": currency}
            for statement in _SOLD:
                connection.execute(text(statement), names)


def sold_many(engine: Engine, count: int) -> None:
    """Puts many products with one variant each into the store, known to the ERP as `E…`."""
    with engine.begin() as connection:
        for statement in _SOLD_MANY:
            connection.execute(text(statement), {"count": count})


def customer(engine: Engine, company: str, days_ago: int = 0) -> None:
    """Puts a customer of a company into the store."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO customer (id, email, company_name, company_key, updated_at)
                VALUES (:name, 'a@example.com', :name, lower(:name), :at)"""),
            {"name": company, "at": datetime.now(UTC) - timedelta(days=days_ago)},
        )


def rows(engine: Engine, query: str, **names: Any) -> list[tuple[Any, ...]]:
    """Returns what a query finds."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), names)]


def change(engine: Engine, statement: str, **names: Any) -> None:
    """Changes the store behind everybody's back."""
    with engine.begin() as connection:
        connection.execute(text(statement), names)


def announce(engine: Engine, webhook_id: str, *external_ids: str, whole: bool = False) -> None:
    """Has the ERP say that variants changed, or all."""
    with engine.begin() as connection:
        deliver(connection, "erp", webhook_id, None if whole else external_ids)


def age(engine: Engine, seconds: int = 400) -> None:
    """Lets time pass since the variants were asked about."""
    change(engine, f"UPDATE asked_variant SET asked_at = asked_at - interval '{seconds} s'")


def everybody(variant: str, currency: str = "EUR") -> Key:
    """Returns what the price of a variant for everybody is known by."""
    return variant, currency, EVERYBODY


_SOLD = (
    "INSERT INTO product (id, title, handle) VALUES ('p-' || :code, :code, :code)",
    """INSERT INTO variant (id, product_id, position, title, sku)
       VALUES ('v-' || :code, 'p-' || :code, 0, '', 'sku-' || :code)""",
    """INSERT INTO external_id (system, entity, external_id, internal_id)
       VALUES ('erp', 'variant', 'E' || :code, 'v-' || :code)""",
    """INSERT INTO price (variant_id, currency_code, amount)
       VALUES ('v-' || :code, :currency, 1)""",
)

_SOLD_MANY = (
    """INSERT INTO product (id, title, handle)
       SELECT 'p-' || n, 'Product ' || n, 'product-' || n FROM generate_series(1, :count) AS n""",
    """INSERT INTO variant (id, product_id, position, title, sku)
       SELECT 'v-' || n, 'p-' || n, 0, '', 'sku-' || n FROM generate_series(1, :count) AS n""",
    """INSERT INTO external_id (system, entity, external_id, internal_id)
       SELECT 'erp', 'variant', 'E' || n, 'v-' || n FROM generate_series(1, :count) AS n""",
    """INSERT INTO price (variant_id, currency_code, amount)
       SELECT 'v-' || n, 'EUR', 1 FROM generate_series(1, :count) AS n""",
)
