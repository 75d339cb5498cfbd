"""The steps of a product's update: in the store, in the ERP, and the ids of what was added there.

The ERP's write is for the product that was seen; after any other change it is refused,
so what is ours is what still reads as we wrote it. Where the ERP itself sees to that, a
doubt is cleared up by sending the same again: whichever comes first makes the change.
Where it does not, the product is looked at once the request has settled, and again by the
audit. Somebody may have had it changed again by then: what that change has left is what a
late request has come over, and what an undo puts back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.erp_feed import feed_hash
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.domain.erp_restoring import identified, restored
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.errors import Conflict, NotFound, Refused, Unknown
from commerce_pipelines.saga.step import JSON, ExternalStep, TransactionalStep, Undo
from commerce_pipelines.store.catalog import load_product
from commerce_pipelines.store.catalog_undo import undo_products
from commerce_pipelines.store.product_changes import (
    erp_links,
    link_variants,
    result_since,
    update_product,
)

KIND = "product_update"
MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class UpdateStoreProduct(TransactionalStep):
    """Changes a product in the store. The plan: `product_id`, `changes`."""

    name = "store.update_product"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Changes it; returns the listed variants as they are now, and what was removed."""
        product_id = plan["product_id"]
        changes = ProductChanges.model_validate(plan["changes"])
        links = erp_links(connection, product_id)
        ids = update_product(connection, saga_id, product_id, changes)
        product = load_product(connection, product_id)
        known = {each.id: each for each in product.variants} if product else {}
        variants = [
            ErpVariant(
                links.get(id_), known[id_].sku, known[id_].title, tuple(known[id_].options.items())
            )
            for id_ in ids
        ]
        return {
            "ids": ids,
            "variants": [asdict(each) for each in variants],
            "removed": [theirs for ours, theirs in links.items() if ours not in known],
        }

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Puts back what was there before, where nobody has changed the product since."""
        del plan, result
        undone = undo_products(connection, saga_id)
        return Undo(superseded=undone.superseded > 0, report=asdict(undone))


@dataclass(frozen=True)
class WriteErpProduct(ExternalStep):
    """Changes a product in the ERP. The plan: `seen`, the product there, and `details`."""

    name = "erp.write_product"
    settle_seconds = 240.0
    erp: Erp
    engine: Engine

    @property
    def seals(self) -> bool:  # type: ignore[override]
        """Tells whether a late request is refused by the ERP itself."""
        return self.erp.has_revisions

    def act(self, plan: JSON, key: str) -> JSON:
        """Changes it, unless somebody else has since it was seen.

        Raises:
            Conflict: Somebody has.
        """
        seen, wanted = product_of(plan["seen"]), details_of(plan["details"])
        try:
            now = self.erp.write_product(seen.external_id, wanted, seen, key)
        except Conflict:
            # It may be the same request, sent before, that has changed it.
            found = None if self.erp.has_revisions else self._find(plan, key)
            if found is None:
                raise
            return found
        return _result(identified(wanted, seen.details, now.details), now)

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Sends it again where that tells, or looks whether anything reads as planned."""
        if not self.erp.has_revisions:
            return self._find(plan, key)
        try:
            return self.act(plan, key)
        except (Conflict, NotFound, Refused):
            return None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Puts back what it said before, where it still says what we wrote.

        Raises:
            Busy: Another saga is changing it.
            Unknown: It changes faster than it can be put back.
        """
        external_id, written = plan["seen"]["external_id"], details_of(result["written"])
        for _ in range(MOST_ATTEMPTS):
            now = self.erp.find_product(external_id)
            if now is None:
                return Undo(report={"gone": external_id})
            before = self.came_over(plan, key)
            back = restored(before, written, now.details)
            if back == now.details:
                return Undo(superseded=now.details != before, report={"restored": 0})
            try:
                self.erp.write_product(external_id, back, now, undo_key(key, now, back))
            except (Conflict, NotFound):
                continue
            kept = "" if back == before else "others have changed other fields"
            return Undo(report={"restored": 1, **({"kept": kept} if kept else {})})
        raise Unknown(f"Product {external_id} changes faster than it can be restored.")

    def came_over(self, plan: JSON, key: str) -> ErpDetails:
        """Returns what the request came over: what was seen, or what a later change has left.

        Asked after the ERP: a change that is to be seen there is known here by then.

        Raises:
            Busy: Another saga is changing the product.
        """
        saga_id = key.rpartition("-")[0]
        with self.engine.connect() as connection:
            later = result_since(connection, KIND, saga_id, self.name)
        return product_of(later["there"] if later else plan["seen"]).details

    def _find(self, plan: JSON, key: str) -> JSON | None:
        seen, wanted = product_of(plan["seen"]), details_of(plan["details"])
        now = self.erp.find_product(seen.external_id)
        if now is None:
            return None
        written = identified(wanted, seen.details, now.details)
        if restored(self.came_over(plan, key), written, now.details) == now.details:
            return None
        return _result(written, now)


@dataclass(frozen=True)
class LinkVariants(TransactionalStep):
    """Notes the ERP's ids of new variants. The plan: `product_id`, `links`, `there`."""

    name = "store.link_erp_variants"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Notes them, and what the ERP says now, so that a sync finds nothing new."""
        hash_ = feed_hash(product_of(plan["there"]))
        link_variants(connection, saga_id, plan["product_id"], plan["links"], hash_)
        return {"linked": len(plan["links"])}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Has nothing to do: the store's undo takes the saga's ids back too."""
        del connection, saga_id, plan, result
        return Undo()


def as_json(product: ErpProduct) -> JSON:
    """Returns a product as the ledger keeps it."""
    return {**asdict(product), "changed_at": product.changed_at.isoformat()}


def product_of(kept: JSON) -> ErpProduct:
    """Returns the product that the ledger kept."""
    changed_at = datetime.fromisoformat(kept["changed_at"])
    return ErpProduct(**{**kept, "details": details_of(kept["details"]), "changed_at": changed_at})


def details_of(kept: JSON) -> ErpDetails:
    """Returns the details that the ledger kept."""
    return ErpDetails(**{**kept, "variants": tuple(map(variant_of, kept["variants"]))})


def variant_of(kept: JSON) -> ErpVariant:
    """Returns the variant that the ledger kept."""
    return ErpVariant(
        **{**kept, "options": tuple((name, value) for name, value in kept["options"])}
    )


def _result(written: ErpDetails, now: ErpProduct) -> JSON:
    return {"written": asdict(written), "there": as_json(now)}


def undo_key(key: str, now: ErpProduct, back: ErpDetails) -> str:
    """Returns the key under which a step puts a product back from what it is now."""
    digest = blake2b(repr((now, back)).encode(), digest_size=6).hexdigest()
    return f"{key}-undo-{digest}"
