"""The store and the sandbox's ERP, with one product on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.domain.erp_products import ErpProduct
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import product_update, recovery
from commerce_pipelines.services.erp_product_sync import ErpProductSync, Synced
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld
from commerce_pipelines_tests.store.catalog import Catalog


@dataclass
class Side:
    """The store, and the sandbox's ERP with one product."""

    ledger: Ledger
    erp: RestErp
    world: SandboxWorld

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.ledger.engine)
        self.tag = uuid4().hex[:8]
        skus = [f"tea-{self.tag}-s", f"tea-{self.tag}-m"]
        self.erp_id = self.world.add_product("Teapot", skus)
        self.sync()
        (self.product_id,) = self.catalog.values(
            "SELECT internal_id FROM external_id WHERE external_id = :id", id=self.erp_id
        )

    def sync(self) -> Synced:
        """Syncs once."""
        flow = ErpProductSync(self.ledger, self.erp, "sync")
        return flow.sync(flow.find_start())

    def update(self, **changes: Any) -> None:
        """Has the product changed, and changes it."""
        with self.ledger.engine.begin() as connection:
            product_update.ask(connection, self.product_id, ProductChanges.model_validate(changes))
        self.work()

    def work(self, run_id: str = "run") -> None:
        """Makes the changes that wait."""
        flow = ProductUpdate(self.ledger, self.erp, run_id)
        while saga_id := flow.claim():
            flow.update(saga_id)

    def recover(self) -> dict[str, int]:
        """Undoes all that is due."""
        self.catalog.execute("UPDATE saga SET next_try_at = now()")
        kinds = {product_update.KIND: product_update.steps(self.erp, self.ledger)}
        return dict(recovery.sweep(Compensator(self.ledger, kinds), "sweep"))

    @property
    def there(self) -> ErpProduct:
        """The product in the ERP."""
        found = self.erp.find_product(self.erp_id)
        assert found
        return found

    def big(self) -> dict[str, Any]:
        """Returns a change of everything: a variant changed, one removed, one added."""
        sku = f"tea-{self.tag}-s"
        (kept,) = self.catalog.values("SELECT id FROM variant WHERE sku = :sku", sku=sku)
        return {
            "title": "Teapot, large",
            "description": "New",
            "variants": [
                {"id": kept, "sku": f"small-{self.tag}"},
                {"sku": f"xl-{self.tag}", "title": "XL", "options": {"Size": "XL"}},
            ],
        }
