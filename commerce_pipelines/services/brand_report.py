"""The brand steps of a saga for a person: before, written, now, and what would finish them.

Belongs here: what is different with brands. Does not belong here: the saga around
them (`saga_report`).
"""

from __future__ import annotations

from sqlalchemy import Connection

from commerce_pipelines.connectors.brand_requests import brand_path, precondition
from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.texts import idempotency
from commerce_pipelines.domain.brands import BrandFacts, ForeignBrand
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.states import StepState
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.brand_push import NoteLink
from commerce_pipelines.services.brand_steps import (
    CreateForeignBrand,
    UpdateForeignBrand,
    from_result,
)
from commerce_pipelines.services.brand_sync import WATERMARK, CreateBrands, UpdateBrands
from commerce_pipelines.store import brand_revisions

BRAND = "BRAND_ID"
MOST_SHOWN = 200
IN_STORE = (CreateBrands.name, UpdateBrands.name, NoteLink.name)
IN_BRAND_SYSTEM = (CreateForeignBrand.name, UpdateForeignBrand.name)


def describe_in_store(connection: Connection, saga_id: str, step: JSON) -> JSON:
    """Returns the brands of an open step in the store, and the SQL that finishes a parked one."""
    known: JSON = {}
    created = step["name"] == CreateBrands.name
    if step["name"] != NoteLink.name:
        known["brands"] = brand_revisions.load_brand_revisions(
            connection, saga_id, created=created, limit=MOST_SHOWN
        )
    if step["state"] != StepState.PARKED:
        return known
    if step["name"] == NoteLink.name:
        external_id, before = step["plan"]["there"]["external_id"], step["result"]["before"]
        script = brand_revisions.link_script(saga_id, external_id, before)
    elif created:
        script = brand_revisions.creations_script(saga_id)
    else:
        script = brand_revisions.updates_script(
            saga_id, WATERMARK, step["result"]["watermark_before"]
        )
    known["requests"] = [{"id": f"{step['seq']}-sql", "why": _WHY_SQL[created], "sql": script}]
    if created:
        known["requests"].append(
            {
                "id": f"{step['seq']}-leave",
                "why": "leaves one new brand as it is, if you want that: put its id in, then retry",
                "sql": brand_revisions.leave_script(saga_id, BRAND),
                "optional": True,
            }
        )
    return known


def describe_there(brand_system: BrandSystem | None, step: JSON) -> JSON:
    """Returns the brand of a step in the brand system as it is now, and what takes it back."""
    created = step["name"] == CreateForeignBrand.name
    seen = step["result"] if created else step["plan"]["before"]
    told: JSON = {
        "id": seen["external_id"] if seen else "not known",
        "before": None if created else BrandFacts(*seen["facts"])._asdict(),
        "written": BrandFacts(*step["plan"]["facts"])._asdict(),
    }
    if brand_system is None:
        why = "The brand system is not configured here; set BRANDS_URL and BRANDS_API_KEY."
        return {"brands": [told], "unseen": why}
    is_parked = step["state"] == StepState.PARKED
    if not seen:
        requests = [_made_again(brand_system, step)] if is_parked else []
        return {"brands": [told], "requests": requests, "unseen": _IN_DOUBT}
    try:
        now = brand_system.find(seen["external_id"])
    except CommerceError as error:
        return {"brands": [told], "unseen": f"What is there now cannot be read: {error}"}
    told |= {
        "now": now and {**now.facts._asdict(), "updated_at": now.updated_at},
        "undo": _undo(step, created, from_result(seen), now),
    }
    requests = _requests(brand_system, step, told, now) if is_parked and now else []
    return {"brands": [told], "requests": requests}


def _undo(step: JSON, created: bool, seen: ForeignBrand, now: ForeignBrand | None) -> str:
    """Returns what the undo would do; see the steps' own."""
    if now is None:
        return "gone"
    if created:
        return "delete" if now.updated_at == seen.updated_at else "superseded"
    if step["result"] is None and now.updated_at == seen.updated_at:
        return "send"
    if now.facts == seen.facts:
        return "restored"
    return "restore" if now.facts == BrandFacts(*step["plan"]["facts"]) else "superseded"


def _requests(brand_system: BrandSystem, step: JSON, told: JSON, now: ForeignBrand) -> list[JSON]:
    undo = told["undo"]
    if undo not in _WHY_REQUEST:
        return []
    return [
        {
            "id": f"{step['seq']}-{undo}",
            "why": _WHY_REQUEST[undo],
            "method": "DELETE" if undo == "delete" else "PATCH",
            "url": brand_system.url + brand_path(now.external_id),
            "headers": {**_HEADERS, **precondition(now.updated_at)},
            "body": {"delete": None, "restore": told["before"], "send": told["written"]}[undo],
        }
    ]


def _made_again(brand_system: BrandSystem, step: JSON) -> JSON:
    return {
        "id": f"{step['seq']}-find",
        "why": "answers with the brand that was made, or makes it: then delete it there by its id",
        "method": "POST",
        "url": f"{brand_system.url}/brands",
        "headers": {**_HEADERS, **idempotency(step["idem_key"])},
        "body": BrandFacts(*step["plan"]["facts"])._asdict(),
    }


_HEADERS = {"X-Api-Key": "$BRANDS_API_KEY", "Content-Type": "application/json"}
_IN_DOUBT = "Whether it was created is not known: the answer never came."
_WHY_REQUEST = {
    "delete": "deletes the brand; 412 means that somebody has changed it: show the saga again",
    "restore": "puts back what the brand said; 412 means that somebody has changed it: show the "
    "saga again",
    "send": "sends the change in doubt again, so that it is known; then show the saga again for "
    "what takes it back; 412 means that it never lands",
}
_WHY_SQL = {
    True: "undoes the step, once no product has a brand that it would delete",
    False: "undoes the step, and has what changed there read again",
}
