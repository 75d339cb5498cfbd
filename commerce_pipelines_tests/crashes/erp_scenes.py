"""A product's update: what there is before, what must be true after, and who else changes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple
from uuid import uuid4

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.errors import Conflict, NotFound
from commerce_pipelines.services import product_update
from commerce_pipelines_tests.crashes.erp_child import update_products
from commerce_pipelines_tests.crashes.erp_ground import Ground
from commerce_pipelines_tests.services.erp_side import Side

THEIRS = "Theirs"


class WithoutRevisions(RestErp):
    """An ERP that applies whatever comes, as often as it comes: no revision, no key."""

    has_revisions = False

    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        """Compares before it writes, and writes over what comes between."""
        now = self._known(external_id)
        if now.details != seen.details:
            raise Conflict(f"Product {external_id} has changed since it was seen.")
        while True:
            key = f"{idempotency_key}~{uuid4().hex}"
            try:
                return super().write_product(external_id, details, now, key)
            except Conflict:
                now = self._known(external_id)

    def _known(self, external_id: str) -> ErpProduct:
        found = self.find_product(external_id)
        if found is None:
            raise NotFound(f"There is no product {external_id}.")
        return found


class Scene(NamedTuple):
    """An ERP of a certain kind.

    Attributes:
        fault: What is wrong with it at the first write, if anything.
    """

    fault: dict[str, Any] | None = None
    adapter: type[RestErp] = RestErp


SCENES = {
    "answers": Scene(),
    "loses its answer": Scene({"kind": "lost_answer", "times": 1}),
    "is late": Scene({"kind": "late", "times": 1, "seconds": 0.3}),
    "refuses after it was done": Scene({"kind": "unavailable_after", "times": 1}),
    "has no revisions": Scene(adapter=WithoutRevisions),
}


class UpdateGround(Ground):
    """A product on both sides, and a change of everything that waits."""

    def prepare(self) -> None:
        """Has the product synced, and the change asked for."""
        self.side = Side(self.ledger, self.erp, self.world)
        with self.ledger.engine.begin() as connection:
            wish = ProductChanges.model_validate(self.side.big())
            product_update.ask(connection, self.side.product_id, wish)
        self.dump = self.store.dump()
        self.details = self.there

    def stage(self) -> None:
        """Has the ERP have the product."""
        self.put(self.details)

    def put(self, details: ErpDetails) -> None:
        """Has somebody in the ERP give the product these details."""
        variants = [_as_body(each) for each in details.variants]
        changes = {"title": details.title, "description": details.description}
        self.world.change(self.side.erp_id, **changes, variants=variants)

    def begin(self, scene: Scene) -> None:
        """Has the ERP show its fault."""
        if scene.fault:
            self.show({**scene.fault, "method": "PUT"})

    def update(self) -> tuple[int, list[str]]:
        """Sends a child that nothing disturbs; returns how it ended and the points it passed."""
        return self.finish(update_products)

    @property
    def there(self) -> ErpDetails:
        """What the ERP says; its variants in the order of their ids."""
        details = self.side.there.details
        variants = sorted(details.variants, key=lambda each: each.external_id or "")
        return replace(details, variants=tuple(variants))

    @property
    def title(self) -> str:
        """What the store says."""
        (title,) = self.store.values(
            "SELECT title FROM product WHERE id = :id", id=self.side.product_id
        )
        return str(title)

    @property
    def has_succeeded(self) -> bool:
        """Whether the newest saga has."""
        statuses = self.store.values(
            "SELECT status FROM saga WHERE kind = 'product_update' ORDER BY created_at DESC LIMIT 1"
        )
        return statuses == ["succeeded"]

    def halves(self) -> list[str]:
        """Returns where the two sides are not both as before, or both as asked for."""
        if self.has_succeeded:
            return self._differences()
        found = [] if self.there == self.details else [f"I4: {self.there} there"]
        if self.store.dump() != self.dump:
            found.append("I4: the store's rows are not as before")
        return found

    def violations(self) -> list[str]:
        """Returns what is true of no case: an effect without its intent, twice, half done."""
        known = set(self.store.values("SELECT idem_key FROM saga_step"))
        keys = [
            str(each["key"])
            for each in self.world.effects("product.update")
            if each["product_id"] == self.side.erp_id
        ]
        found = {
            "I1": [key for key in keys if key.split("~")[0].split("-undo-")[0] not in known],
            "I2": [key for key, times in Counter(keys).items() if times > 1],
            "I9": self.live(),
        }
        return [f"{name}: {seen}" for name, seen in found.items() if seen]

    def drained(self) -> list[str]:
        """Lets what waits be done, and returns what is not as it should be then and later."""
        (was_told,) = self.store.values(
            "SELECT outcome ? 'failed' FROM message WHERE topic = 'product_updates'"
        )
        self.side.work("drain")
        self.await_late()
        self.recover()
        left = self.store.values("SELECT state FROM message WHERE topic = 'product_updates'")
        found = [*self.halves(), *self.violations()]
        if left != ["done"] or self.has_succeeded is bool(was_told):
            found.append(f"I3: the message is {left}, its failure told: {was_told}")
        return found

    def _differences(self) -> list[str]:
        """Returns where the sides do not say what was asked for."""
        there, tag = self.there, self.side.tag
        here = self.store.rows(
            """SELECT sku, external_id.external_id FROM variant
               LEFT JOIN external_id ON internal_id = variant.id AND system = 'erp'
               WHERE product_id = :id ORDER BY sku""",
            id=self.side.product_id,
        )
        linked = sorted((each.sku, each.external_id) for each in there.variants)
        skus = [sku for sku, _ in here]
        found = []
        if (self.title, there.title, there.description) != (
            "Teapot, large",
            "Teapot, large",
            "New",
        ):
            found.append(f"I3: {self.title} here, {there.title}, {there.description} there")
        if here != linked or skus != [f"small-{tag}", f"xl-{tag}"]:
            found.append(f"I3: {here} here, {linked} there")
        return found


class Edit(NamedTuple):
    """A change by somebody else.

    Attributes:
        make: Makes it.
        over: What it makes of the ERP's product.
        title: What it makes of the store's.
    """

    make: Callable[[UpdateGround], None]
    over: Callable[[ErpDetails], ErpDetails] = lambda details: details
    title: str = "Teapot"


def _retitled(details: ErpDetails) -> ErpDetails:
    return replace(details, title=THEIRS)


def _variant_retitled(details: ErpDetails) -> ErpDetails:
    """Changes the variant that the update changes too, elsewhere; it is the last by its id."""
    *others, last = details.variants
    return replace(details, variants=(*others, replace(last, title=THEIRS)))


def _in_erp(over: Callable[[ErpDetails], ErpDetails]) -> Callable[[UpdateGround], None]:
    return lambda ground: ground.put(over(ground.there))


def _in_store(ground: UpdateGround) -> None:
    ground.store.execute(f"UPDATE product SET title = '{THEIRS}', version = version + 1")


def _everywhere(ground: UpdateGround) -> None:
    for edit in ("our field", "another field", "our row"):
        EDITS[edit].make(ground)


def _as_body(variant: ErpVariant) -> dict[str, Any]:
    shown = asdict(variant)
    options = [{"name": name, "value": value} for name, value in variant.options]
    return {"id": shown.pop("external_id"), **shown, "options": options}


EDITS = {
    "our field": Edit(_in_erp(_retitled), _retitled),
    "another field": Edit(_in_erp(_variant_retitled), _variant_retitled),
    "our row": Edit(_in_store, title=THEIRS),
    "all of these": Edit(
        _everywhere, lambda details: _retitled(_variant_retitled(details)), THEIRS
    ),
}
