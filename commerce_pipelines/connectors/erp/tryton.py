"""Tryton 8.2 as an ERP, over its REST interface.

Belongs here: the port's operations, each handed to who knows it. Does not belong here:
how they are done (`tryton_*`).

The key is one of a user application `rest` (validated by an administrator), whose user's
company is the shop's; the user may read and write products, parties and sales. Wanted are
the modules `web_shop` and `sale_price_list`; `product_attribute` and `sale_supply` are used
where they are. Price lists, not companies, know what may not be bought: a variant without a
price in a company's own list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Self

from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.erp.port import (
    Erp,
    Prices,
    ProductPage,
    PurchaseRules,
    RejectedRecord,
    Stock,
)
from commerce_pipelines.connectors.erp.tryton_by_hand import TrytonByHand
from commerce_pipelines.connectors.erp.tryton_orders import Orders
from commerce_pipelines.connectors.erp.tryton_parties import Buyers, PartyReader
from commerce_pipelines.connectors.erp.tryton_prices import PriceReader
from commerce_pipelines.connectors.erp.tryton_product_writes import ProductWriter
from commerce_pipelines.connectors.erp.tryton_products import ProductReader
from commerce_pipelines.connectors.erp.tryton_records import MOST_IDS, Records
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.connectors.erp.tryton_stock import StockReader
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.orders import ErpOrder, PlacedOrder
from commerce_pipelines.domain.price_book import EVERYBODY, Company


class Tryton(Erp):
    """A database of Tryton, as one of its web shops sees it.

    Args:
        http: A session with `https://host/database`.
        budget: What every request takes from.
        shop: Name of the web shop.
    """

    most_variants: ClassVar[int] = MOST_IDS
    has_revisions: ClassVar[bool] = False

    def __init__(self, http: HttpSession, budget: RateBudget, shop: str) -> None:
        self._records = Records(http, budget)
        self._shops = shops = ShopReader(self._records, shop)
        self._products = ProductReader(self._records, shops)
        self._writer = ProductWriter(self._records, shops, self._products)
        self._prices = PriceReader(self._records, shops)
        self._stock = StockReader(self._records, shops)
        self._parties = PartyReader(self._records, shops, self._prices)
        self._orders = Orders(self._records, shops, Buyers(self._records, shops, self._parties))

    @classmethod
    def open(
        cls,
        *,
        url: str,
        api_key: str,
        shop: str,
        budget: RateBudget,
        retry: RetryPolicy | None = None,
        connect_timeout_seconds: float = 3.05,
        read_timeout_seconds: float = 60.0,
        breaker: Breaker | None = None,
    ) -> Self:
        """Returns an adapter with a session of its own; connects when first used.

        Args:
            url: Base address with the database, `https://host/database`.
            api_key: The user application's key.
            shop: Name of the web shop.
            budget: What every request takes from.
            retry: How requests are repeated.
            connect_timeout_seconds: How long a connection may take.
            read_timeout_seconds: How long an answer may take.
            breaker: Keeps requests back while it fails; one of its own if not given.

        Raises:
            ConfigurationError: The address or the key cannot be used.
        """
        http = HttpSession(
            url,
            secret_headers={"Authorization": f"bearer {api_key}"},
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
            retry=retry,
            breaker=breaker or Breaker("The ERP"),
        )
        return cls(http, budget, shop)

    @property
    def url(self) -> str:
        """Returns the base address."""
        return self._records.url

    @property
    def by_hand(self) -> TrytonByHand:
        """Returns Tryton's requests for a person to send."""
        return TrytonByHand(self.url, self._shops)

    def close(self) -> None:
        """Closes all connections."""
        self._records.close()

    def fetch_products(self, since: datetime | None) -> Iterator[ProductPage]:
        """Fetches the products that changed at a moment or later."""
        return self._products.changed(since)

    def fetch_prices(
        self, variants: Sequence[str], currency_code: str, customer_group: str
    ) -> Prices:
        """Fetches the prices of many variants at once."""
        return self._prices.fetch(variants, currency_code, customer_group)

    def fetch_stock(self, variants: Sequence[str]) -> Stock:
        """Fetches the stock of many variants at once."""
        return self._stock.fetch(variants)

    def fetch_purchase_rules(
        self, companies: Sequence[str], variants: Sequence[str]
    ) -> PurchaseRules:
        """Fetches which of these companies have a price list without these variants."""
        as_of = datetime.now(UTC)
        known = self._parties.companies(companies)
        groups = {each.customer_group for each in known.values()} - {EVERYBODY}
        lists = self._prices.lists() if groups else {}
        forbidden: set[tuple[str, str]] = set()
        for group in groups:
            banned = set(variants) - self._prices.priced(variants, lists[group])
            names = [name for name, each in known.items() if each.customer_group == group]
            forbidden |= {(name, variant) for name in names for variant in banned}
        return PurchaseRules(as_of, frozenset(forbidden))

    def fetch_companies(self, names: Sequence[str]) -> Mapping[str, Company]:
        """Fetches companies by name as asked for."""
        return self._parties.companies(names)

    def find_product(self, external_id: str) -> ErpProduct | None:
        """Fetches one product."""
        return self._products.find(external_id)

    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        """Changes a product, compared right before; Tryton has no use for the key."""
        del idempotency_key
        return self._writer.write(external_id, details, seen)

    def find_order(self, reference: str) -> ErpOrder | None:
        """Fetches the order that has our order's id as reference."""
        return self._orders.find(reference)

    def create_order(self, order: PlacedOrder) -> ErpOrder:
        """Creates a draft of an order with its id as reference."""
        return self._orders.create(order)

    def confirm_order(self, external_id: str) -> ErpOrder:
        """Confirms a draft."""
        return self._orders.confirm(external_id)

    def cancel_order(self, external_id: str) -> ErpOrder:
        """Cancels an order that is not confirmed."""
        return self._orders.cancel(external_id)

    def fetch_changed_orders(self, since: datetime) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders that changed at a moment or later."""
        return self._orders.changed(since)

    def fetch_orders(
        self, placed_from: datetime, placed_until: datetime
    ) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders placed in a time."""
        return self._orders.placed(placed_from, placed_until)
