"""The sandbox's ERP as the contract test's world."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import requests

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.price_book import PriceTier
from commerce_pipelines.sandbox.server import Addresses
from commerce_pipelines_tests.connectors.erp_contract import World

TIMEOUT_SECONDS = 30


def open_sandbox_erp(
    addresses: Addresses, patience_seconds: float = 5.0, kind: type[RestErp] = RestErp
) -> RestErp:
    """Returns the adapter on a sandbox."""
    return kind.open(
        url=addresses["erp"]["url"],
        api_key=addresses["erp"]["api_key"],
        budget=UnlimitedBudget(),
        retry=RetryPolicy(
            budget_seconds=patience_seconds, first_wait_seconds=0.01, longest_wait_seconds=0.1
        ),
    )


class SandboxWorld(World):
    """The sandbox, and what people in its ERP do.

    Args:
        addresses: Of the sandbox.
        erp: The adapter under test.
    """

    def __init__(self, addresses: Addresses, erp: Erp) -> None:
        self.erp = erp
        self._url = addresses["faults"]["url"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Asks something of the sandbox's controls."""
        answer = requests.request(method, self._url + path, json=body, timeout=TIMEOUT_SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def fault(self, kind: str, **options: Any) -> None:
        """Has the ERP show a fault."""
        self.ask("POST", "", {"system": "erp", "kind": kind, **options})

    def effects(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Returns what was done in the ERP."""
        effects = self.ask("GET", "/effects?system=erp")
        return [effect for effect in effects if kind in (None, effect["kind"])]

    def now(self) -> datetime:
        return datetime.now(UTC)

    def add_product(self, title: str, skus: Sequence[str], option: str = "Size") -> str:
        product = f"p-{uuid4().hex}"
        variants = [
            {
                "id": f"v-{sku}",
                "sku": sku,
                "title": chr(ord("A") + at),
                "options": [{"name": option, "value": chr(ord("A") + at)}],
            }
            for at, sku in enumerate(skus)
        ]
        self.change(product, title=title, variants=variants)
        return product

    def change(self, product: str, **changes: Any) -> None:
        """Changes something of a product."""
        self.ask("PUT", f"/erp/products/{product}", changes)

    def rename(self, product: str, title: str) -> None:
        self.change(product, title=title)

    def deactivate(self, product: str) -> None:
        self.change(product, active=False)

    def delete(self, product: str) -> None:
        self.ask("DELETE", f"/erp/products/{product}")

    def set_price(
        self, variant: str, currency_code: str, group: str, tiers: Sequence[PriceTier] | None
    ) -> None:
        listed = None
        if tiers is not None:
            listed = [
                {"min_quantity": tier.min_quantity, "amount": str(tier.amount)} for tier in tiers
            ]
        self.set_raw_price(variant, listed, currency_code, group)

    def set_raw_price(
        self, variant: str, tiers: Any, currency_code: str = "EUR", group: str = ""
    ) -> None:
        """Sets a price, whatever it is."""
        price = {"variant": variant, "currency_code": currency_code, "customer_group": group}
        self.ask("POST", "/erp/prices", [{**price, "tiers": tiers}])

    def set_stock(self, variant: str, available: Decimal, *, allows_out_of_stock: bool) -> None:
        level = {"available": str(available), "allows_out_of_stock": allows_out_of_stock}
        self.ask("POST", "/erp/stock", [{"variant": variant, **level}])

    def add_company(self, name: str, group: str, forbidden: Sequence[str] = ()) -> None:
        company = {"name": name, "customer_group": group, "forbidden": list(forbidden)}
        self.ask("POST", "/erp/companies", [company])

    def place_order(self, variant: str, quantity: int, placed_at: datetime) -> str:
        line = {"variant": variant, "quantity": quantity, "unit_price": "9.90"}
        order = {"placed_at": placed_at.isoformat(), "total": f"{9.9 * quantity:.2f}"}
        (order_id,) = self.ask("POST", "/erp/orders", [{**order, "lines": [line]}])
        return str(order_id)

    def work_on(self, order: str) -> None:
        self.advance(order, "processing")

    def advance(self, order: str, status: str, **options: Any) -> None:
        """Gives an order another status."""
        self.ask("PUT", f"/erp/orders/{order}/status", {"status": status, **options})

    def references(self, reference: str) -> list[str]:
        return [order["id"] for order in self.ask("GET", f"/erp/orders?reference={reference}")]
