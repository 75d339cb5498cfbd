"""The orders of a saga for a person: before, written, now, and what would finish them.

Belongs here: what is different with orders, in the ERP and in the store. Does not belong
here: the saga around them (`saga_report`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.orders import ErpOrder, OrderStatus
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.states import StepState
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.erp_report import NOT_CONFIGURED
from commerce_pipelines.services.order_status_import import MOST_MESSAGES, ApplyStatuses
from commerce_pipelines.services.order_steps import (
    ConfirmErpOrder,
    CreateErpOrder,
    NoteOrder,
    is_draft,
    status_of,
)
from commerce_pipelines.store import order_revisions

IN_STORE = (ApplyStatuses.name, NoteOrder.name)
IN_ERP = (CreateErpOrder.name, ConfirmErpOrder.name)


def describe_in_store(connection: Connection, saga_id: str, step: JSON) -> JSON:
    """Returns the orders of an open step in the store, and the SQL that undoes a parked one."""
    orders = order_revisions.load_order_revisions(connection, saga_id, MOST_MESSAGES)
    known: JSON = {"orders": orders}
    if step["name"] == ApplyStatuses.name:
        known["undo_counts"] = Counter(each["undo"] for each in orders)
        script = order_revisions.statuses_script(saga_id)
    else:
        script = order_revisions.note_script(saga_id, step["plan"]["order_id"])
    if step["state"] == StepState.PARKED:
        known["requests"] = [{"id": f"{step['seq']}-sql", "why": "undoes the step", "sql": script}]
    return known


def describe_there(erp: Erp | None, engine: Engine, step: JSON) -> JSON:
    """Returns the order of an open step in the ERP as it is now, and what finishes a parked one."""
    told = _told(step)
    if erp is None:
        return {"records": [told], "unseen": NOT_CONFIGURED}
    try:
        found = erp.find_order(step["plan"]["order_id"])
        fate = _fate(CreateErpOrder(erp, engine), step, found)
        known: JSON = {"records": [{**told, "now": found and _facts(found), "undo": fate}]}
        if step["state"] == StepState.PARKED:
            known["requests"] = [*_requests(erp, step, found, fate), *_relinking(engine, step)]
    except CommerceError as error:
        return {"records": [told], "unseen": f"What is there now cannot be read: {error}"}
    return known


def _told(step: JSON) -> JSON:
    known = {**step["plan"], **(step["result"] or {})}
    told = {"id": known.get("external_id", "not known"), "in_doubt": not step["result"]}
    if step["name"] == ConfirmErpOrder.name:
        return {**told, "before": {"status": "draft"}, "written": {"status": "confirmed"}}
    written = {"reference": known["order_id"], "status": known.get("status", "draft")}
    return {**told, "before": None, "written": written}


def _facts(order: ErpOrder) -> JSON:
    return {
        "id": order.external_id,
        "number": order.number,
        "reference": order.reference,
        "status": order.status,
        "currency_code": order.currency_code,
        "total": str(order.total),
        "changed_at": order.changed_at,
    }


def _fate(create: CreateErpOrder, step: JSON, found: ErpOrder | None) -> str:
    """Returns what the undo would do, or the pivot; see the steps' own."""
    if step["name"] == CreateErpOrder.name:
        return _fate_of_draft(create, step, found)
    if found is None or found.external_id != step["plan"]["external_id"]:
        return "gone"
    return _FORWARD.get(status_of(found.status), "confirmed")


def _fate_of_draft(create: CreateErpOrder, step: JSON, found: ErpOrder | None) -> str:
    result = step["result"] or create.look(step["plan"], step["idem_key"])
    if result is None:
        return "absent"
    if not is_draft(result):
        return "found"
    if found is None or found.external_id != result["external_id"]:
        return "gone"
    if create.is_of_another(found, step["idem_key"]):
        return "superseded"
    return _BACKWARD.get(status_of(found.status), "confirmed_there")


def _requests(erp: Erp, step: JSON, found: ErpOrder | None, fate: str) -> list[JSON]:
    if found is None or fate not in _WHY:
        return []
    by_hand = erp.by_hand
    requests = (by_hand.confirm_order if fate == "confirm" else by_hand.cancel_order)(found)
    optional = {"optional": True} if fate == "confirmed_there" else {}
    return [
        {"id": f"{step['seq']}-{name}", "why": _WHY[fate], **asdict(request), **optional}
        for name, request in requests.items()
    ]


def _relinking(engine: Engine, step: JSON) -> list[JSON]:
    """Returns what makes room for the note of a confirmed order, where something is in its way."""
    if step["name"] != ConfirmErpOrder.name:
        return []
    ids = step["plan"]["order_id"], step["plan"]["external_id"]
    with engine.connect() as connection:
        others = order_revisions.load_other_links(connection, *ids)
    if not others:
        return []
    known = ", ".join(f"{each['external_id']} as {each['order_id']}" for each in others)
    return [
        {
            "id": f"{step['seq']}-unlink",
            "why": f"forgets that the store knows the ERP's {known}, if that is wrong; then retry",
            "sql": order_revisions.other_links_script(*ids),
            "optional": True,
        }
    ]


_FORWARD = {
    OrderStatus.PLACED: "confirm",
    OrderStatus.CANCELLED: "cancelled",
}
_BACKWARD = {
    OrderStatus.PLACED: "cancel",
    OrderStatus.CANCELLED: "cancelled",
}
_WHY = {
    "cancel": "cancels the draft; an ERP may do that also after somebody has confirmed it, so show "
    "the saga again right before",
    "confirmed_there": "cancels the order that somebody has confirmed, if you want that and the "
    "ERP still does it; then resolve, and it is exported again",
    "confirm": "confirms the order, once however often it is sent; then retry",
}
