"""The ERP of the demo, and what a customer of the store does, all over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from commerce_pipelines.cli.demo_shop import DemoFailedError, Shop

ADDRESS = {
    "first_name": "Anna",
    "last_name": "Muster",
    "address_1": "High Street 1",
    "postal_code": "10115",
    "city": "Berlin",
    "country_code": "DE",
}
_TIMEOUT_SECONDS = 60.0

Record = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """The store of a running stack, as its customers and people reach it."""

    shop: Shop

    def variant(self, sku: str) -> tuple[Record, Record]:
        """Returns a product and its variant with this SKU."""
        for product in self.shop.store_products():
            for variant in product["variants"]:
                if variant["sku"] == sku:
                    return product, variant
        raise DemoFailedError(f"The store has no variant {sku}.")

    def product(self, product_id: str) -> Record:
        """Returns a product."""
        return dict(self.shop.call("GET", self._at(f"products/{product_id}")))

    def unit_price(self, variant: Record, currency_code: str, quantity: int) -> str:
        """Returns what one of so many pieces costs everybody."""
        params = {"currency_code": currency_code, "quantity": str(quantity)}
        url = self._at(f"variants/{variant['id']}/price")
        return str(self.shop.call("GET", url, params=params)["unit_price"])

    def cart_of(self, company_name: str) -> str:
        """Returns a new cart of a new customer of a company."""
        person = {"email": "anna@example.com", "company_name": company_name}
        customer = self.shop.call("POST", self._at("customers"), person)
        wanted = {
            "currency_code": "EUR",
            "customer_id": customer["id"],
            "email": person["email"],
            "shipping_address": ADDRESS,
            "billing_address": ADDRESS,
        }
        return str(self.shop.call("POST", self._at("carts"), wanted)["id"])

    def add(self, cart_id: str, variant: Record, quantity: int) -> Record:
        """Asks for pieces of a variant; returns the answer, or the problem in its place."""
        wanted = {"variant_id": variant["id"], "quantity": quantity}
        return self.ask(f"carts/{cart_id}/custom-line-items", wanted)

    def complete(self, cart_id: str) -> Record:
        """Completes a cart; returns the order."""
        return dict(self.shop.call("POST", self._at(f"carts/{cart_id}/complete")))

    def order_if(
        self, order_id: str, holds: Callable[[Record], bool]
    ) -> Callable[[], Record | None]:
        """Returns a look at an order that sees it only when something holds."""

        def look() -> Record | None:
            order = dict(self.shop.call("GET", self._at(f"orders/{order_id}")))
            return order if holds(order) else None

        return look

    def ask(self, path: str, wanted: Record) -> Record:
        """Posts something that may be declined; returns the answer, whatever it is."""
        answer = requests.post(self._at(path), json=wanted, timeout=_TIMEOUT_SECONDS)
        return {"status": answer.status_code, **answer.json()}

    def _at(self, path: str) -> str:
        return f"{self.shop.addresses.endpoint}/store/{path}"


@dataclass(frozen=True)
class Erp:
    """The sandbox's ERP, as its people reach it."""

    shop: Shop

    def product_titled(self, title: str) -> Record | None:
        """Returns the product of this title; None without one."""
        found = self._get("products", limit="500")["products"]
        return next((each for each in found if each["title"] == title), None)

    def count_products(self) -> int:
        """Returns how many products it sells."""
        return len(self._get("products", limit="500")["products"])

    def orders_under(self, reference: str) -> list[Record]:
        """Returns the orders with our order's id."""
        url = f"{self._by_hand}/orders"
        return list(self.shop.call("GET", url, params={"reference": reference}))

    def break_writes(self) -> None:
        """Lets every change of a product be refused."""
        fault = {"kind": "unavailable_before", "times": None, "system": "erp", "method": "PUT"}
        self.shop.call("POST", self.shop.systems["faults"]["url"], fault)

    def ship(self, order: Record) -> None:
        """Ships an order and tells the store so, by a signed webhook."""
        url = f"{self._by_hand}/orders/{order['id']}/status"
        self.shop.call("PUT", url, {"status": "shipped"})
        told = {"url": f"{self.shop.addresses.endpoint}/erp/order-updates", "orders": [order["id"]]}
        (delivery,) = self.shop.call("POST", f"{self._by_hand}/send", told)["deliveries"]
        if delivery["status"] != 202:
            raise DemoFailedError(f"The order update was not taken: {delivery}")

    def take_order_by_telephone(self, ago: timedelta) -> None:
        """Takes an order that the store knows nothing of."""
        placed_at = (datetime.now(UTC) - ago).isoformat()
        order = {"status": "confirmed", "currency_code": "EUR", "total": "42.00"}
        self.shop.call("POST", f"{self._by_hand}/orders", [{**order, "placed_at": placed_at}])

    def _get(self, path: str, **params: str) -> Record:
        erp = self.shop.systems["erp"]
        return dict(
            self.shop.call("GET", f"{erp['url']}/{path}", params=params, key=erp["api_key"])
        )

    @property
    def _by_hand(self) -> str:
        return f"{self.shop.systems['faults']['url']}/erp"
