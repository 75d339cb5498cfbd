"""A product's change by its people, in the store and in the ERP: one saga a message.

    POST, or the launchpad ──► message
    claim ──► change it here ──► change it in the ERP ──► note new ids ──► document
              (undo: put back)   (undo: put back)                          by message

One change of a product at a time: messages of a product wait for each other, and a
product that another saga holds is waited for. What the ERP refuses or does not answer
is undone and told, never tried again: who asked decides. Only what was killed, or had
to wait, comes again. The document follows by a message that the end of the saga
leaves: `pim_import` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import Busy, CommerceError, Conflict, NotFound, TransientError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps
from commerce_pipelines.services.product_update_steps import (
    KIND,
    MOST_ATTEMPTS,
    LinkVariants,
    UpdateStoreProduct,
    WriteErpProduct,
    as_json,
    details_of,
    variant_of,
)
from commerce_pipelines.store import message_claims, messages
from commerce_pipelines.store.product_changes import (
    announce_document,
    check_changes,
    erp_product_id,
    parked_holder,
)

__all__ = ["KIND", "SOURCE", "TOPIC", "ProductUpdate", "ask", "steps"]

TOPIC = "product_updates"
SOURCE = "store"


def ask(
    connection: Connection, product_id: str, changes: ProductChanges, key: str | None = None
) -> messages.Receipt:
    """Has a product changed here and in the ERP, after a look whether that can be.

    Args:
        connection: An open transaction.
        product_id: The product.
        changes: What shall be changed.
        key: Names the request: sent again, it is done once.

    Raises:
        NotFound: There is no such product.
        InvalidInput: A variant is not the product's.
        Conflict: It has no id in the ERP, or a SKU belongs to another product.
    """
    erp_product_id(connection, product_id)
    check_changes(connection, product_id, changes)
    wish = {"product_id": product_id, "changes": changes.model_dump(exclude_unset=True)}
    part = messages.Part(json.dumps(wish).encode(), aggregate=f"product:{product_id}")
    webhook_id = f"product_update:{product_id}:{key or uuid4().hex}"
    return messages.receive(connection, SOURCE, webhook_id, TOPIC, [part])


@dataclass(frozen=True)
class ProductUpdate:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        erp: The ERP.
        run_id: Who is working.
    """

    ledger: Ledger
    erp: Erp
    run_id: str

    def claim(self) -> str | None:
        """Opens a saga for the next message; None when none waits.

        A message whose product another update holds is put off, or refused where that one
        waits for a person.
        """
        saga_id: str | None = None
        while saga_id is None:
            with self.ledger.engine.begin() as connection:
                wanted = f"{KIND}-{uuid4().hex}"
                claimed = message_claims.claim_page(
                    connection, topic=TOPIC, saga_id=wanted, run_id=self.run_id, most_items=1
                )
                if not claimed:
                    return None
                saga_id = self._open(connection, wanted)
        return saga_id

    def update(self, saga_id: str) -> JSON:
        """Changes one product on both sides, and ends the saga; returns what was done."""
        with Saga.joined(
            self.ledger, saga_id, self.run_id, on_failure=lambda error: _failed(saga_id, error)
        ) as saga:
            wish = self._read(saga_id)
            here = saga.take(UpdateStoreProduct(), wish)
            written = self._write(saga, wish, here)
            links = _new_links(here["ids"], here["variants"], written["written"])
            plan = {"product_id": wish["product_id"], "links": links, "there": written["there"]}
            saga.take(LinkVariants(), plan)
            outcome = _outcome(wish["product_id"], erp=written["there"])
            saga.succeed(lambda connection: _end(connection, saga_id, outcome))
        return outcome

    def _open(self, connection: Connection, saga_id: str) -> str | None:
        (message,) = messages.load_claimed(connection, saga_id)
        product_id = str(loads(message.body)["product_id"])
        try:
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=product_id, run_id=self.run_id
            )
        except Busy as busy:
            parked = parked_holder(connection, KIND, product_id)
            error: CommerceError = busy
            if parked:
                error = Conflict(f"Product {product_id} is held by the parked saga {parked}.")
            _failed(saga_id, error)(connection)
            return None
        return saga_id

    def _read(self, saga_id: str) -> JSON:
        with self.ledger.engine.connect() as connection:
            (message,) = messages.load_claimed(connection, saga_id)
            wish: JSON = loads(message.body)
            return wish | {"erp_id": erp_product_id(connection, wish["product_id"])}

    def _write(self, saga: Saga, wish: JSON, here: JSON) -> JSON:
        """Writes over what is there now, and looks again where somebody was faster."""
        for attempt in range(MOST_ATTEMPTS):
            try:
                return saga.take(
                    WriteErpProduct(self.erp, self.ledger.engine),
                    lambda: self._plan(wish, here),
                    f"~{attempt}",
                )
            except Conflict as conflict:
                last = conflict
        raise Conflict(f"The product keeps changing in the ERP: {last}") from last

    def _plan(self, wish: JSON, here: JSON) -> JSON:
        seen = self.erp.find_product(wish["erp_id"])
        if seen is None:
            raise NotFound(f"The ERP has no product {wish['erp_id']} any more.")
        changes = ProductChanges.model_validate(wish["changes"])
        listed = [variant_of(each) for each in here["variants"]]
        details = changes.over(seen.details, listed, here["removed"])
        return {"seen": as_json(seen), "details": asdict(details)}


def steps(erp: Erp, ledger: Ledger) -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    taken = (UpdateStoreProduct(), WriteErpProduct(erp, ledger.engine), LinkVariants())
    return {step.name: step for step in taken}


def _new_links(ids: list[str], variants: list[JSON], written: JSON) -> dict[str, str]:
    """Returns the ERP's ids of listed variants that had none; its list begins with ours."""
    there = [each.external_id for each in details_of(written).variants]
    return {
        ours: theirs
        for ours, variant, theirs in zip(ids, variants, there, strict=False)
        if theirs is not None and variant["external_id"] != theirs
    }


def _outcome(product_id: str, **more: object) -> JSON:
    """Returns an outcome that reads like an import's of one product."""
    counts = {"created": 0, "updated": 1, "unchanged": 0}
    return {**counts, "rejected": [], "products": [product_id], **more}


def _end(connection: Connection, saga_id: str, outcome: JSON) -> None:
    for product_id in outcome["products"]:
        announce_document(connection, product_id)
    messages.note_outcomes(
        connection, dict.fromkeys(messages.outcomes_of(connection, saga_id), outcome)
    )
    messages.finish(connection, saga_id)


def _failed(saga_id: str, error: BaseException) -> Callable[[Connection], None]:
    """Returns what notes a failure: for good, or so that it comes again after a wait or a kill."""
    if isinstance(error, Busy) or not isinstance(error, CommerceError):
        return messages.failed(saga_id, error)
    asked = error.retry_after_seconds if isinstance(error, TransientError) else None
    reason = {"position": 0, "field": "", "reason": f"{error}"}
    outcome: JSON = {
        **{"created": 0, "updated": 0, "unchanged": 0, "rejected": [reason], "products": []},
        "failed": {"error": type(error).__name__, "retry_after_seconds": asked},
    }
    return lambda connection: _end(connection, saga_id, outcome)
