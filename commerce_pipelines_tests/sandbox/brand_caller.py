"""A small caller of the imitated brand system, for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

import requests

from commerce_pipelines.sandbox.server import Addresses

TIMEOUT_SECONDS = 30


class BrandCaller:
    """Speaks to the sandbox's brand system as its documentation says."""

    def __init__(self, addresses: Addresses) -> None:
        self.url = addresses["brands"]["url"] + "/brands"
        self.session = requests.Session()
        self.session.headers["X-Api-Key"] = addresses["brands"]["api_key"]
        self._keys = count(1)

    def ask(self, method: str, path: str = "", **options: Any) -> requests.Response:
        """Sends one request below the list's address."""
        return self.session.request(method, self.url + path, timeout=TIMEOUT_SECONDS, **options)

    def post(self, key: str | None = None, **fields: Any) -> requests.Response:
        """Asks for a new brand, under a new key if none is given."""
        headers = {"Idempotency-Key": key or f"key-{next(self._keys)}"}
        return self.ask("POST", json=fields, headers=headers)

    def create(self, **fields: Any) -> dict[str, Any]:
        """Creates a brand and returns it."""
        answer = self.post(**fields)
        assert answer.status_code == 201, answer.text
        brand: dict[str, Any] = answer.json()
        return brand

    def patch(
        self, brand_id: str, *, unless_since: str | None = None, **fields: Any
    ) -> requests.Response:
        """Changes a brand."""
        return self.ask("PATCH", f"/{brand_id}", json=fields, headers=_guard(unless_since))

    def delete(self, brand_id: str, *, unless_since: str | None = None) -> requests.Response:
        """Deletes a brand."""
        return self.ask("DELETE", f"/{brand_id}", headers=_guard(unless_since))

    def page(self, **params: Any) -> dict[str, Any]:
        """Returns a page of the list."""
        answer = self.ask("GET", params=params)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def ids(self, **params: Any) -> list[str]:
        """Returns the ids of the brands on a page."""
        return [brand["id"] for brand in self.page(**params)["brands"]]

    def empty(self) -> None:
        """Deletes all brands."""
        for brand_id in self.ids(limit=500):
            self.delete(brand_id)


def code_of(answer: requests.Response) -> str:
    """Returns the code of a refusal."""
    code: str = answer.json()["error"]["code"]
    return code


def _guard(updated_at: str | None) -> dict[str, str]:
    return {} if updated_at is None else {"If-Unmodified-Since-Version": updated_at}
