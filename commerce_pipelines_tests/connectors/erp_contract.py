"""What every adapter of the ERP's port is tested in: a world that tests can arrange.

Belongs here: how a test reaches into an ERP as its own people would. Does not belong
here: the cases (`test_erp_contract`), and any ERP's own words: each adapter brings its
world. A world is shared by many tests, so each makes products of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.price_book import PriceTier


class World(ABC):
    """An ERP as its own people see it.

    Attributes:
        erp: The adapter under test, connected to it; patient for some seconds.
    """

    erp: Erp

    @abstractmethod
    def now(self) -> datetime:
        """Returns the ERP's time, aware; what changes from now on is not earlier."""

    @abstractmethod
    def add_product(self, title: str, skus: Sequence[str], option: str = "Size") -> str:
        """Makes a product with one variant a SKU and one option (values A, B, …); returns its id.

        Its variants are neither priced nor in stock.
        """

    @abstractmethod
    def rename(self, product: str, title: str) -> None:
        """Changes a product's title."""

    @abstractmethod
    def deactivate(self, product: str) -> None:
        """Takes a product from sale."""

    @abstractmethod
    def delete(self, product: str) -> None:
        """Deletes a product that nothing refers to."""

    @abstractmethod
    def set_price(
        self, variant: str, currency_code: str, group: str, tiers: Sequence[PriceTier] | None
    ) -> None:
        """Sets a variant's price for a customer group, making the group; None for no price."""

    @abstractmethod
    def set_stock(self, variant: str, available: Decimal, *, allows_out_of_stock: bool) -> None:
        """Sets what of a variant is in stock."""

    @abstractmethod
    def add_company(self, name: str, group: str, forbidden: Sequence[str] = ()) -> None:
        """Makes a company that pays a group's prices and may not buy some variants."""

    @abstractmethod
    def place_order(self, variant: str, quantity: int, placed_at: datetime) -> str:
        """Takes an order by telephone, a draft without a reference; returns its id."""

    @abstractmethod
    def work_on(self, order: str) -> None:
        """Takes a confirmed order into work: from then on it cannot be cancelled."""

    @abstractmethod
    def references(self, reference: str) -> list[str]:
        """Returns the ids of all orders under a reference, in the ERP itself."""
