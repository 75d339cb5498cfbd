"""One saga for a person: what it did, what is there now, and what would finish it.

Belongs here: putting together what ledger, store and other systems know of a saga. Does
not belong here: what waits at all (`attention`), requests and SQL that finish a
step (`by_hand`), and how it is printed.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga import operations as ledger
from commerce_pipelines.saga.parked import ParkedStep
from commerce_pipelines.saga.states import NOTHING_TO_UNDO, StepState
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services import brand_report, by_hand, erp_report, order_report
from commerce_pipelines.services.attention import (
    IN_CATALOG,
    brief,
    concern_of_step,
    decisions,
    system_of,
)
from commerce_pipelines.services.document_steps import WriteDocuments, plan_undo
from commerce_pipelines.store import message_operations as inbox
from commerce_pipelines.store.revisions import count_revisions, load_revisions

MOST_SHOWN = 200
MOST_ERRORS = 5


def describe_saga(
    engine: Engine,
    saga_id: str,
    *,
    sanity: Sanity | None,
    brand_system: BrandSystem | None,
    erp: Erp | None,
    dagster_url: str | None,
) -> JSON:
    """Returns everything that is known of a saga, and what would finish it.

    Args:
        engine: The store with its ledger.
        saga_id: The saga.
        sanity: The CMS; None when it is not configured.
        brand_system: The brand system; None when it is not configured.
        erp: The ERP; None when it is not configured.
        dagster_url: Dagster's UI, for links to runs.

    Raises:
        NotFound: There is no such saga.
    """
    with engine.connect() as connection:
        saga = ledger.load_saga(connection, saga_id)
        messages = inbox.messages_of_saga(connection, saga_id)
        steps = [_describe_step(connection, saga, step) for step in saga["steps"]]
    for step in steps:
        step.update(_look_outside(step, engine, sanity, brand_system, erp))
        if saga["pivoted"] and step["state"] != StepState.PARKED:
            _leave_out_undo(step)
    runs = [saga["root_run_id"], saga["last_run_id"], *(one["run_id"] for one in messages)]
    return {
        **_head(saga),
        **saga,
        "reason": saga["reason"] and brief(saga["reason"]),
        "events": [
            {**event, "note": event["note"] and brief(event["note"])} for event in saga["events"]
        ],
        "runs": [_run(dagster_url, run_id) for run_id in dict.fromkeys(runs) if run_id],
        "messages": messages,
        "steps": steps,
    }


def _head(saga: JSON) -> JSON:
    """Returns what is wrong, what to do and what to type; says how it stands when nothing is."""
    parked = [step for step in saga["steps"] if step["state"] == StepState.PARKED]
    concerns = [concern_of_step(_parked_step(saga, step)) for step in parked]
    failures = [each["note"] for each in saga["events"] if each["what"] == "aborting"]
    return {
        "problem": "\n".join(each.problem for each in concerns) or None,
        "advice": "\n".join(dict.fromkeys(each.advice for each in concerns)) or None,
        "decisions": decisions(saga["saga_id"], saga["pivoted"]) if parked else {},
        "failed_because": failures[0] and brief(failures[0]) if failures else None,
    }


def _parked_step(saga: JSON, step: JSON) -> ParkedStep:
    return ParkedStep(
        saga_id=saga["saga_id"],
        seq=step["seq"],
        name=step["name"],
        error=step["error"],
        tries=step["undo_tries"],
        since=step["updated_at"],
        run_id=saga["last_run_id"],
        pivoted=saga["pivoted"],
    )


def _run(dagster_url: str | None, run_id: str) -> JSON:
    base = dagster_url.rstrip("/") if dagster_url else None
    return {"run_id": run_id, "url": f"{base}/runs/{run_id}" if base else None}


def _describe_step(connection: Connection, saga: JSON, step: JSON) -> JSON:
    known = {
        **step,
        "error": step["error"] and brief(step["error"]),
        "system": system_of(step["name"]),
        "errors": _errors(saga, step),
        "requests": [],
    }
    is_open = _is_open(step)
    if step["name"] == WriteDocuments.name:
        # A finished saga's plans are deleted after their time.
        documents = known.pop("plan").get("documents", [])
        known["document_count"] = len(documents)
        return {**known, "documents": documents} if is_open else known
    if step["name"] in IN_CATALOG and is_open:
        known["undo_counts"] = count_revisions(connection, saga["saga_id"])
        known["products"] = load_revisions(connection, saga["saga_id"], MOST_SHOWN)
        if step["state"] == StepState.PARKED:
            known["requests"] = by_hand.store_requests(step)
    if step["name"] in brand_report.IN_STORE and is_open:
        known |= brand_report.describe_in_store(connection, saga["saga_id"], step)
    if step["name"] in order_report.IN_STORE and is_open:
        known |= order_report.describe_in_store(connection, saga["saga_id"], step)
    return known


def _leave_out_undo(step: JSON) -> None:
    """Tells nothing of an undo that is not going to be."""
    for thing in (*step.get("records", ()), *step.get("orders", ())):
        thing.pop("undo", None)


def _is_open(step: JSON) -> bool:
    return step["state"] not in NOTHING_TO_UNDO


def _errors(saga: JSON, step: JSON) -> list[JSON]:
    """Returns the last errors of a step, the newest first."""
    told = [
        {"at": event["at"], "error": brief(event["note"])}
        for event in saga["events"]
        if event["seq"] == step["seq"] and event["note"] and event["what"] in _TRIED
    ]
    return told[: -MOST_ERRORS - 1 : -1]


def _look_outside(
    step: JSON,
    engine: Engine,
    sanity: Sanity | None,
    brand_system: BrandSystem | None,
    erp: Erp | None,
) -> JSON:
    """Returns what the other systems say now of what a step wrote there, if it wrote there."""
    if step["system"] == "sanity" and "documents" in step:
        return _look_at_documents(sanity, step)
    if not _is_open(step):
        return {}
    if step["name"] in brand_report.IN_BRAND_SYSTEM:
        return brand_report.describe_there(brand_system, step)
    if step["name"] in erp_report.IN_ERP:
        return erp_report.describe_product(erp, engine, step)
    if step["name"] in order_report.IN_ERP:
        return order_report.describe_there(erp, engine, step)
    return {}


def _look_at_documents(sanity: Sanity | None, step: JSON) -> JSON:
    is_parked = step["state"] == StepState.PARKED
    # All of them are needed for the requests that undo a step, and some to know how it looks.
    documents: list[JSON] = step["documents"] if is_parked else step["documents"][:MOST_SHOWN]
    if sanity is None:
        return _unseen(documents, "Sanity is not configured here; set SANITY_PROJECT_ID.")
    try:
        current = sanity.fetch_documents(document["id"] for document in documents)
    except CommerceError as error:
        return _unseen(documents, f"What is there now cannot be read: {error}")
    undo = plan_undo(documents, current, step["idem_key"])
    will = {id_: name for one in undo.transactions for id_, name in one.outcomes.items()}
    outcomes = {id_: _UNDO[name] for id_, name in will.items()} | undo.untouched
    shown = sorted(documents, key=lambda document: document["id"] not in will)[:MOST_SHOWN]
    return {
        "undo_counts": Counter(outcomes.values()) if is_parked else {},
        "documents": [
            {
                **_planned(document),
                "undo": outcomes[document["id"]],
                "now": _ours(document, current.get(document["id"])),
            }
            for document in shown
        ],
        "requests": by_hand.sanity_requests(sanity, step, undo) if is_parked else [],
    }


def _unseen(documents: list[JSON], why: str) -> JSON:
    return {"documents": [_planned(each) for each in documents[:MOST_SHOWN]], "unseen": why}


def _planned(document: JSON) -> JSON:
    return {
        "id": document["id"],
        "created": document["create"],
        "before": document["before"],
        "written": {**document["set"], **document["seed"], **dict.fromkeys(document["unset"])},
    }


def _ours(document: JSON, current: JSON | None) -> JSON | None:
    """Returns what the fields that we write hold now, and the revision; None if it is gone."""
    if current is None:
        return None
    names = ["_rev", "_updatedAt", *document["set"], *document["seed"], *document["unset"]]
    return {name: current[name] for name in names if name in current}


_TRIED = ("intended", "undoing", "done", "parked")
_UNDO = {"deleted": "delete", "restored": "restore"}
