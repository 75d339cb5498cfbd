"""A product that the PIM and the ERP have brought, and changes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services import product_update, recovery
from commerce_pipelines.services.erp_product_sync import ErpProductSync
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines_tests.factories import product, variant
from commerce_pipelines_tests.services.erp_by_hand import FakeErp, details, erp_variant
from commerce_pipelines_tests.store.catalog import Catalog


@dataclass
class Ground:
    """A store with a product that the PIM and the ERP have brought, and the ERP."""

    ledger: Ledger
    erp: FakeErp = field(default_factory=FakeErp)

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.ledger.engine)
        self.catalog.take(
            product(
                1,
                title="Mug",
                description="Blue",
                options=[{"title": "Size", "values": ["S", "M"]}],
                variants=[variant("1-S"), variant("1-M", "M")],
            )
        )
        self.erp.put("P1", details("MUG", erp_variant("1-S"), erp_variant("1-M"), description="d"))
        ErpProductSync(self.ledger, self.erp, "sync").sync(None)
        (self.product_id,) = self.catalog.values("SELECT id FROM product")
        self.erp.asked.clear()

    def ask(self, **changes: Any) -> int:
        """Has the product changed; returns the message's id."""
        with self.ledger.engine.begin() as connection:
            wish = ProductChanges.model_validate(changes)
            return product_update.ask(connection, self.product_id, wish).message_ids[0]

    def work(self, run_id: str = "run") -> JSON | None:
        """Works on the next message."""
        flow = ProductUpdate(self.ledger, self.erp, run_id)
        saga_id = flow.claim()
        return None if saga_id is None else flow.update(saga_id)

    def recover(self) -> dict[str, int]:
        """Undoes all that is due, after all waiting times have passed."""
        self.catalog.execute("UPDATE saga SET next_try_at = now()")
        self.catalog.execute("UPDATE saga_step SET settle_at = now()")
        self.catalog.execute(
            "UPDATE saga SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL"
        )
        return self._sweep()

    def audit(self) -> dict[str, int]:
        """Looks for late effects, after all waiting times have passed."""
        self.catalog.execute("UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL")
        return self._sweep()

    def _sweep(self) -> dict[str, int]:
        kinds = {product_update.KIND: product_update.steps(self.erp, self.ledger)}
        return dict(recovery.sweep(Compensator(self.ledger, kinds), "sweep"))

    def variant_id(self, sku: str) -> str:
        """Returns a variant's id."""
        return str(self.catalog.values("SELECT id FROM variant WHERE sku = :sku", sku=sku)[0])

    @property
    def there(self) -> Any:
        """The product in the ERP, but for its times."""
        return self.erp.products["P1"].details

    def states(self) -> list[str]:
        """Returns how the steps stand."""
        return self.catalog.values("""
            SELECT state FROM saga_step WHERE saga_id LIKE 'product_update%' ORDER BY seq""")


BIG = {"title": "Mug, large", "description": None, "options": [{"title": "Size", "values": ["XL"]}]}


def big(ground: Ground) -> dict[str, Any]:
    """Returns a change of everything: one variant changed, one removed, one added."""
    return {
        **BIG,
        "variants": [
            {"id": ground.variant_id("sku-1-S"), "title": "Small", "sku": "sku-small"},
            {"sku": "sku-xl", "options": {"Size": "XL"}},
        ],
    }
