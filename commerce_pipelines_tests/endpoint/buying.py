"""A shop for tests: variants that an ERP sells, and somebody who buys over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

import requests
from sqlalchemy import Engine

from commerce_pipelines.domain.price_book import Company, PriceTier, StockLevel
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, settings
from commerce_pipelines_tests.services.erp_prices import PricedErp, change, rows, sold

ADDRESS = {
    "address_1": "High Street 1",
    "postal_code": "10115",
    "city": "Berlin",
    "country_code": "DE",
}
ADDRESSES: dict[str, Any] = {"shipping_address": ADDRESS, "billing_address": ADDRESS}


@dataclass
class Buying:
    """A shop with its ERP, seen from outside."""

    endpoint: Endpoint
    engine: Engine
    erp: PricedErp
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def sell(
        self,
        code: str,
        *tiers: tuple[int, str],
        stock: int = 1000,
        beyond: bool = False,
        currency: str = "EUR",
        group: str = "",
    ) -> str:
        """Has the store and the ERP sell a variant; returns its id here."""
        if not rows(self.engine, "SELECT FROM variant WHERE id = :id", id=f"v-{code}"):
            sold(self.engine, code)
        self.erp.levels[f"E{code}"] = StockLevel(stock, beyond)
        self.erp.prices[f"E{code}", currency, group] = tuple(
            PriceTier(quantity, Decimal(amount)) for quantity, amount in tiers or ((1, "9.99"),)
        )
        return f"v-{code}"

    def company(self, name: str, group: str = "", *, forbidden: Sequence[str] = ()) -> str:
        """Has the ERP know a company, and the store a customer of it; returns the customer."""
        self.erp.companies[name] = Company(name, group)
        self.erp.forbidden |= {(name, f"E{code}") for code in forbidden}
        body = {"email": "anna@example.com", "company_name": name}
        return str(as_json(self.endpoint.post("/store/customers", json=body), 201)["id"])

    def cart(self, currency: str = "EUR", **facts: Any) -> str:
        """Creates a cart and returns its id."""
        body = {"currency_code": currency, **facts}
        return str(as_json(self.endpoint.post("/store/carts", json=body), 201)["id"])

    def ready_cart(self, **facts: Any) -> str:
        """Creates a cart that lacks only lines."""
        return self.cart(email="anna@example.com", **ADDRESSES, **facts)

    def add(
        self, cart_id: str, variant_id: str, quantity: Any = 1, **options: Any
    ) -> requests.Response:
        """Asks for pieces in a cart."""
        body = {"variant_id": variant_id, "quantity": quantity}
        return self.endpoint.post(f"/store/carts/{cart_id}/custom-line-items", json=body, **options)

    def added(self, cart_id: str, variant_id: str, quantity: int = 1) -> Any:
        """Adds pieces to a cart and returns it."""
        answer = as_json(self.add(cart_id, variant_id, quantity), 200)
        assert answer["success"] is True
        return answer["cart"]

    def show(self, cart_id: str) -> Any:
        """Returns a cart."""
        return as_json(self.endpoint.get(f"/store/carts/{cart_id}"), 200)

    def complete(self, cart_id: str, **options: Any) -> requests.Response:
        """Asks for a cart to be completed."""
        return self.endpoint.post(f"/store/carts/{cart_id}/complete", **options)

    def price(self, variant_id: str, currency: str = "EUR", **query: Any) -> requests.Response:
        """Asks for a price."""
        params = {"currency_code": currency, **query}
        return self.endpoint.get(f"/store/variants/{variant_id}/price", params=params)

    def age(self, seconds: float) -> None:
        """Lets time pass for everything that the ERP has said."""
        for table in ("price_book", "stock_level", "purchase_rule", "company"):
            change(
                self.engine,
                f"UPDATE {table} SET fetched_at = fetched_at - make_interval(secs => :seconds)",
                seconds=seconds,
            )

    def values(self, query: str, **names: Any) -> list[Any]:
        """Returns the first column of a query."""
        return [row[0] for row in rows(self.engine, query, **names)]


@contextmanager
def shop(postgres_url: str, engine: Engine, **rules: Any) -> Iterator[Buying]:
    """Opens a shop that takes unsigned requests, with an ERP made by hand."""
    erp = PricedErp()
    with Endpoint(settings(postgres_url, endpoint_unsigned_loopback=True, **rules), erp) as running:
        yield Buying(running, engine, erp)


def key(name: str) -> dict[str, str]:
    """Returns the header of an idempotency key."""
    return {"Idempotency-Key": name}


def line(cart: Any, at: int = 0) -> Any:
    """Returns a line of a cart."""
    return cart["lines"][at]


def of_line(cart_id: str, line_id: str) -> str:
    """Returns the path of a line."""
    return f"/store/carts/{cart_id}/line-items/{line_id}"
