"""The store and a real Tryton, with one product on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.domain.erp_products import ErpDetails
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import product_update, recovery
from commerce_pipelines.services.erp_product_sync import ErpProductSync, Synced
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines_tests.orders import place_order
from commerce_pipelines_tests.store.catalog import Catalog
from commerce_pipelines_tests.tryton.world import TrytonWorld


@dataclass
class Side:
    """The store, and a product of Tryton's that was synced into it."""

    ledger: Ledger
    erp: Tryton
    world: TrytonWorld
    tag: str = field(default_factory=lambda: uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.ledger.engine)
        self.title = f"Teapot {self.tag}"
        self.erp_id = self.world.add_product(self.title, [f"{self.tag}-s", f"{self.tag}-m"])
        self.sync()
        (self.product_id,) = self.catalog.values(
            "SELECT id FROM product WHERE title = :title", title=self.title
        )

    def sync(self) -> Synced:
        """Syncs once."""
        flow = ErpProductSync(self.ledger, self.erp, "sync")
        return flow.sync(flow.find_start())

    def ask(self, **changes: Any) -> None:
        """Has the product changed."""
        with self.ledger.engine.begin() as connection:
            wish = ProductChanges.model_validate(changes)
            product_update.ask(connection, self.product_id, wish)

    def update(self, erp: Tryton, **changes: Any) -> None:
        """Has the product changed, and changes it."""
        self.ask(**changes)
        flow = ProductUpdate(self.ledger, erp, "run")
        saga_id = flow.claim()
        assert saga_id
        flow.update(saga_id)

    def place_order(self) -> str:
        """Places an order of two pieces; returns its id."""
        sold = self.variant(f"{self.tag}-s")
        with self.ledger.engine.begin() as connection:
            return place_order(connection, f"order_{self.tag}", external_id=sold, email=self.email)

    @property
    def email(self) -> str:
        """Who buys."""
        return f"{self.tag}@example.com"

    def linked(self, order_id: str) -> list[str]:
        """Returns the ids in Tryton that the store has of an order."""
        return self.catalog.values(
            "SELECT external_id FROM external_id WHERE internal_id = :id", id=order_id
        )

    def export(self, erp: Tryton) -> None:
        """Exports the order that waits."""
        flow = OrderExport(self.ledger, erp, "run")
        saga_id = flow.claim()
        assert saga_id
        flow.export(saga_id)

    def recover(self) -> dict[str, int]:
        """Undoes all that is due, after all waiting times have passed."""
        self.catalog.execute("UPDATE saga SET next_try_at = now()")
        self.catalog.execute("UPDATE saga_step SET settle_at = now()")
        nobody: Any = None
        systems = recovery.compensator(self.ledger, nobody, nobody, self.erp)
        return dict(recovery.sweep(systems, "sweep"))

    @property
    def there(self) -> ErpDetails:
        """The product in Tryton."""
        found = self.erp.find_product(self.erp_id)
        assert found
        return found.details

    def variant(self, sku: str) -> str:
        """Returns the id in Tryton of a variant."""
        return next(str(each.external_id) for each in self.there.variants if each.sku == sku)

    def big(self) -> dict[str, Any]:
        """Returns a change of everything: a variant changed, one removed, one added."""
        (kept,) = self.catalog.values(
            "SELECT id FROM variant WHERE sku = :sku", sku=f"{self.tag}-s"
        )
        return {
            "title": f"Large {self.title}",
            "description": "New",
            "variants": [
                {"id": kept, "sku": f"{self.tag}-small"},
                {"sku": f"{self.tag}-xl", "title": "XL", "options": {"Size": "XL"}},
            ],
        }
