"""The product that a saga changed in the ERP, for a person: before, written, now, what undoes it.

Belongs here: what is different with the ERP's products. Does not belong here: orders
(`order_report`), the saga around them (`saga_report`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine

from commerce_pipelines.connectors.erp.by_hand import Request
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.erp_restoring import identified, restored
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.states import StepState
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.product_update_steps import (
    WriteErpProduct,
    details_of,
    product_of,
    undo_key,
)

IN_ERP = (WriteErpProduct.name,)
NOT_CONFIGURED = (
    "The ERP is not configured here; set ERP_URL and ERP_API_KEY, for Tryton also ERP_SHOP."
)


def describe_product(erp: Erp | None, engine: Engine, step: JSON) -> JSON:
    """Returns the product of an open step as it is now, and what finishes a parked one."""
    seen, wanted = product_of(step["plan"]["seen"]), details_of(step["plan"]["details"])
    told = _told(step, seen, details_of(step["result"]["written"]) if step["result"] else wanted)
    if erp is None:
        return {"records": [told], "unseen": NOT_CONFIGURED}
    try:
        now = erp.find_product(seen.external_id)
        if now is None:
            return {"records": [{**told, "now": None, "undo": "gone"}]}
        came_over = WriteErpProduct(erp, engine).came_over(step["plan"], step["idem_key"])
        return _describe(erp, _Change.of(step, seen, now, came_over))
    except CommerceError as error:
        return {"records": [told], "unseen": f"What is there now cannot be read: {error}"}


@dataclass(frozen=True)
class _Change:
    """What a step changed, as far as that is known.

    Attributes:
        written: What we wrote; in doubt what we would have written.
        came_over: What was there before, or what a later change of ours has left.
        back: How the product would be without it.
    """

    step: JSON
    seen: ErpProduct
    now: ErpProduct
    written: ErpDetails
    came_over: ErpDetails
    back: ErpDetails

    @classmethod
    def of(cls, step: JSON, seen: ErpProduct, now: ErpProduct, came_over: ErpDetails) -> _Change:
        """Compares what was there, what we wrote and what is there now."""
        if step["result"]:
            written = details_of(step["result"]["written"])
        else:
            wanted = details_of(step["plan"]["details"])
            written = identified(wanted, seen.details, now.details)
        back = restored(came_over, written, now.details)
        return cls(step, seen, now, written, came_over, back)

    def undo(self, erp: Erp) -> str:
        """Returns what the undo would do; see the step's own."""
        if self.back != self.now.details:
            return "restore"
        if self.step["result"]:
            return "restored" if self.now.details == self.came_over else "superseded"
        may_come = erp.has_revisions and self.now.revision == self.seen.revision
        return "send" if may_come else "absent"


def _describe(erp: Erp, change: _Change) -> JSON:
    undo = change.undo(erp)
    told = _told(change.step, change.seen, change.written)
    known: JSON = {"records": [{**told, "now": _facts(change.now.details), "undo": undo}]}
    if change.step["state"] != StepState.PARKED or undo not in _WHY:
        return known
    request = _request(erp, change, undo)
    if request is None:
        return {**known, "to_do": list(_words(change.now.details, change.back))}
    id_ = f"{change.step['seq']}-{undo}"
    return {**known, "requests": [{"id": id_, "why": _WHY[undo], **asdict(request)}]}


def _request(erp: Erp, change: _Change, undo: str) -> Request | None:
    key = change.step["idem_key"]
    if undo == "send":
        return erp.by_hand.write_product(change.written, change.seen, key)
    return erp.by_hand.write_product(
        change.back, change.now, undo_key(key, change.now, change.back)
    )


def _told(step: JSON, seen: ErpProduct, written: ErpDetails) -> JSON:
    before = _facts(seen.details)
    # What we removed is written too.
    return {
        "id": seen.external_id,
        "in_doubt": not step["result"],
        "before": before,
        "written": dict.fromkeys(before) | _facts(written),
    }


def _facts(details: ErpDetails) -> JSON:
    """Returns what can be changed of a product, one value a field."""
    facts: JSON = {"title": details.title, "description": details.description}
    for variant in details.variants:
        named = f"variant {variant.external_id or f'to be made as {variant.sku}'}"
        facts[f"{named} sku"] = variant.sku
        facts[f"{named} title"] = variant.title
        facts[f"{named} options"] = dict(variant.options)
    return facts


def _words(now: ErpDetails, back: ErpDetails) -> Iterator[str]:
    """Yields what leads from a product as it is to how it is to be."""
    here, wanted = _skus(now), _skus(back)
    yield from (f"take variant {id_} ({here[id_]}) off sale" for id_ in here if id_ not in wanted)
    yield from (
        f"put variant {id_} ({wanted[id_]}) on sale again" for id_ in wanted if id_ not in here
    )
    facts = _facts(now)
    for name, value in _facts(back).items():
        if name in facts and facts[name] != value:
            yield f"set {name} to {json.dumps(value, ensure_ascii=False)}"


def _skus(details: ErpDetails) -> dict[Any, str | None]:
    return {variant.external_id: variant.sku for variant in details.variants}


_WHY = {
    "restore": "puts back what still says what we wrote; 412 means that somebody has changed the "
    "product: show the saga again",
    "send": "sends the write in doubt again, so that it is known; then show the saga again for "
    "what takes it back; 412 means that it never lands",
}
