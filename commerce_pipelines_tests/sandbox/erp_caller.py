"""A small caller of the imitated ERP, for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

import requests

from commerce_pipelines.sandbox.server import Addresses

TIMEOUT_SECONDS = 30
ADDRESS = {"address_1": "Street 1", "postal_code": "1", "city": "Bern", "country_code": "CH"}


class ErpCaller:
    """Speaks to the sandbox's ERP as its documentation says."""

    def __init__(self, addresses: Addresses) -> None:
        self.url = addresses["erp"]["url"]
        self.faults_url = addresses["faults"]["url"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {addresses['erp']['api_key']}"
        self._keys = count(1)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends one request."""
        return self.session.request(method, self.url + path, timeout=TIMEOUT_SECONDS, **options)

    def by_hand(self, method: str, path: str, body: Any = None) -> Any:
        """Does what a person in the ERP does."""
        url = f"{self.faults_url}/erp{path}"
        answer = requests.request(method, url, json=body, timeout=TIMEOUT_SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str, **params: Any) -> Any:
        """Returns what is there."""
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, what: str, **body: Any) -> Any:
        """Returns what many are asked for."""
        answer = self.ask("POST", f"/{what}/query", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def amount(self, variant: str, currency_code: str, group: str = "") -> str | None:
        """Returns the price of one of a variant."""
        asked = {"currency_code": currency_code, "customer_group": group}
        (price,) = self.query("prices", variants=[variant], **asked)["prices"]
        return None if price["tiers"] is None else str(price["tiers"][0]["amount"])

    def put(
        self, product: dict[str, Any], *, key: str | None = None, **changes: Any
    ) -> requests.Response:
        """Changes a product as it was seen."""
        body = {name: product[name] for name in ("title", "description", "variants")} | changes
        headers = {"If-Match": product["revision"], "Idempotency-Key": key or self.key()}
        return self.ask("PUT", f"/products/{product['id']}", json=body, headers=headers)

    def order(self, reference: str, **changes: Any) -> requests.Response:
        """Asks for an order."""
        line = {"variant": "v-nor-1001-sla", "title": "Pack", "quantity": 1}
        body = {
            "reference": reference,
            "currency_code": "EUR",
            "placed_at": "2026-01-02T03:04:05Z",
            "email": "ada@example.com",
            "shipping_address": ADDRESS,
            "billing_address": ADDRESS,
            "lines": [{**line, "unit_price": "9.90", "total": "9.90"}],
            "total": "9.90",
        }
        return self.ask("POST", "/orders", json=body | changes)

    def key(self) -> str:
        """Returns a key that was not used."""
        return f"key-{next(self._keys)}"

    def effects(self) -> list[dict[str, Any]]:
        """Returns what was changed through the contract."""
        url = self.faults_url + "/effects?system=erp"
        effects: list[dict[str, Any]] = requests.get(url, timeout=TIMEOUT_SECONDS).json()
        return effects


def code_of(answer: requests.Response) -> str:
    """Returns the code of a refusal."""
    code: str = answer.json()["error"]["code"]
    return code
