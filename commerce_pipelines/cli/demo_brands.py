"""The brands of the demo: those of the store, and those of the brand system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.cli.demo_dagster import run_job
from commerce_pipelines.cli.demo_shop import Shop

SYNC = "brand_sync"

Brand = dict[str, Any]
Found = dict[str, Brand] | None


@dataclass(frozen=True)
class Brands:
    """The brands of a running stack, on both sides."""

    shop: Shop

    def there(self) -> dict[str, Brand]:
        """Returns the brand system's brands by their ids."""
        page = self.shop.call("GET", f"{self._url}/brands?limit=500", key=self._key)
        return {brand["id"]: brand for brand in page["brands"]}

    def here(self) -> dict[str, Brand]:
        """Returns the store's brands by their ids in the brand system."""
        return {id_: brand for brand in self._stored() for id_ in brand["external_ids"]}

    def pushed(self) -> list[str] | None:
        """Returns the names of the store's brands, once all of them are in the brand system."""
        stored = self._stored()
        if not all(brand["external_ids"] for brand in stored):
            return None
        return sorted(brand["name"] for brand in stored)

    def there_named(self, name: str) -> dict[str, Brand]:
        """Returns the brands of a name there."""
        return {id_: brand for id_, brand in self.there().items() if brand["name"] == name}

    def here_if(self, holds: Callable[[dict[str, Brand]], bool]) -> Callable[[], Found]:
        """Returns a look at the store's brands that sees them only when something holds."""

        def look() -> Found:
            seen = self.here()
            return seen if holds(seen) else None

        return look

    def synced(self, what: str, holds: Callable[[dict[str, Brand]], bool]) -> dict[str, Brand]:
        """Syncs until something holds of the store's brands, and returns them.

        A sync that meets another one at work leaves it to that, which may have read before.
        """

        def look() -> Found:
            self.sync()
            return self.here_if(holds)()

        return self.shop.wait_for(what, look)

    def rename_there(self, external_id: str, name: str) -> None:
        """Renames a brand as the brand system's people do."""
        url = f"{self._url}/brands/{external_id}"
        self.shop.call("PATCH", url, {"name": name}, key=self._key)

    def create_here(self, brand: Brand) -> Brand:
        """Creates a brand as the store's people do."""
        url = f"{self.shop.addresses.endpoint}/store/brands"
        return dict(self.shop.call("POST", url, brand))

    def sync(self) -> None:
        """Starts a sync at once, instead of waiting for its schedule, and waits for its end."""
        run_job(self.shop, SYNC)

    def _stored(self) -> list[Brand]:
        """Returns the store's brands."""
        page = self.shop.call("GET", f"{self.shop.addresses.endpoint}/store/brands?limit=100")
        return list(page["brands"])

    @property
    def _url(self) -> str:
        return self.shop.systems["brands"]["url"]

    @property
    def _key(self) -> str:
        return self.shop.systems["brands"]["api_key"]
