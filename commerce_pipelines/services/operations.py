"""What a person needs at 3 a.m.: what is half-done, and how to finish it.

Belongs here: putting together what ledger, store and CMS know of a saga. Does
not belong here: deciding about it (`saga.operations`), and how it is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from commerce_pipelines.connectors.sanity import Sanity, seal_of
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga import operations as ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.saga.states import NOTHING_TO_UNDO, SagaStatus
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.document_steps import WriteDocuments, plan_undo
from commerce_pipelines.services.product_steps import UpsertProducts
from commerce_pipelines.store import message_operations as inbox
from commerce_pipelines.store.message_reads import load_delivery
from commerce_pipelines.store.revisions import load_revisions

MOST_SHOWN = 1_000
MOST_PARKED_SHOWN = 50

_DECISIONS = {
    "retry": "try the undo again",
    "accept": "what is there now is right; leave it as it is",
    "resolve": "it was undone by hand, for instance with the request shown",
}


@dataclass(frozen=True)
class Desk:
    """What is looked at.

    Attributes:
        engine: The store with its ledger.
        sanity: The CMS; None when it is not configured.
        dagster_url: Dagster's UI, for links to runs.
    """

    engine: Engine
    sanity: Sanity | None = None
    dagster_url: str | None = None

    def status(self) -> JSON:
        """Returns how much is in which state, and what waits for a person."""
        with self.engine.connect() as connection:
            counts = inbox.count_messages(connection)
            return {
                "sagas": ledger.count_sagas(connection),
                "messages": counts.by_state,
                "oldest_unfinished_message_seconds": counts.oldest_unfinished_seconds,
                "parked": ledger.list_sagas(connection, [SagaStatus.PARKED], MOST_PARKED_SHOWN),
                "dead": inbox.list_messages(connection, states=["dead"], limit=MOST_PARKED_SHOWN),
            }

    def list_messages(
        self, states: Sequence[str], source: str | None, since: datetime | None, limit: int
    ) -> list[JSON]:
        """Returns messages, newest first; no states are all."""
        with self.engine.connect() as connection:
            return inbox.list_messages(
                connection, states=states, source=source, since=since, limit=limit
            )

    def describe_message(self, message_id: int) -> JSON:
        """Returns a message, what people did to it, and the delivery that it is a part of.

        Raises:
            NotFound: There is no such message.
        """
        with self.engine.connect() as connection:
            message = inbox.load_message(connection, message_id)
            delivery = load_delivery(connection, message_id)
        return {**message, "delivery": asdict(delivery) if delivery else None}

    def message_body(self, message_id: int) -> bytes:
        """Returns the bytes that a message brought.

        Raises:
            NotFound: There is no such message, or its body is no longer kept.
        """
        with self.engine.connect() as connection:
            return inbox.load_body(connection, message_id)

    def replayable_ids(self, source: str, since: datetime, state: str) -> list[int]:
        """Returns a sender's messages in a state since a time, oldest first."""
        with self.engine.connect() as connection:
            return inbox.replayable_ids(connection, source, since, [state])

    def replay(self, message_ids: Sequence[int], who: str, reason: str) -> None:
        """Has messages worked on again, all or none; see `store.message_operations`."""
        with self.engine.begin() as connection:
            inbox.replay(connection, message_ids, who, reason)

    def list_sagas(self, statuses: Sequence[str], limit: int) -> list[JSON]:
        """Returns sagas, unfinished ones first; no statuses are all."""
        with self.engine.connect() as connection:
            return ledger.list_sagas(connection, statuses, limit)

    def retry(self, saga_id: str, decision: Decision) -> str:
        """Lets a parked saga be tried again and returns its status; see `saga.operations`."""
        with self.engine.begin() as connection:
            ledger.retry(connection, saga_id, decision)
            return ledger.status_of(connection, saga_id)

    def accept(self, saga_id: str, decision: Decision, seq: int | None = None) -> str:
        """Leaves parked steps as they are and returns the saga's status."""
        with self.engine.begin() as connection:
            ledger.accept(connection, saga_id, decision, seq)
            return ledger.status_of(connection, saga_id)

    def resolve(self, saga_id: str, decision: Decision, seq: int | None = None) -> str:
        """Notes that parked steps were undone by hand and returns the saga's status."""
        with self.engine.begin() as connection:
            ledger.resolve(connection, saga_id, decision, seq)
            return ledger.status_of(connection, saga_id)

    def describe_saga(self, saga_id: str) -> JSON:
        """Returns everything that is known of a saga, and what would finish it.

        Raises:
            NotFound: There is no such saga.
        """
        with self.engine.connect() as connection:
            saga = ledger.load_saga(connection, saga_id)
            messages = inbox.messages_of_saga(connection, saga_id)
            products = {
                step["seq"]: load_revisions(connection, saga_id, MOST_SHOWN)
                for step in saga["steps"]
                if step["name"] == UpsertProducts.name and _is_open(step)
            }
        steps = [self._describe_step(step, products.get(step["seq"])) for step in saga["steps"]]
        runs = [saga["root_run_id"], saga["last_run_id"], *(one["run_id"] for one in messages)]
        return {
            **saga,
            "runs": [self._run(run_id) for run_id in dict.fromkeys(runs) if run_id],
            "messages": messages,
            "steps": steps,
            "decisions": _decisions(saga),
        }

    def _run(self, run_id: str) -> JSON:
        base = self.dagster_url.rstrip("/") if self.dagster_url else None
        return {"run_id": run_id, "url": f"{base}/runs/{run_id}" if base else None}

    def _describe_step(self, step: JSON, products: list[JSON] | None) -> JSON:
        if step["name"] == WriteDocuments.name:
            plan = step.pop("plan")
            known = {**step, "system": "sanity", "document_count": len(plan["documents"])}
            return {**known, **self._describe_documents(step, plan)} if _is_open(step) else known
        changed = {} if products is None else {"products": products}
        return {**step, "system": "store", **changed}

    def _describe_documents(self, step: JSON, plan: JSON) -> JSON:
        documents: list[JSON] = plan["documents"]
        if self.sanity is None:
            return _unseen(documents, "Sanity is not configured here; set SANITY_PROJECT_ID.")
        try:
            current = self.sanity.fetch_documents(document["id"] for document in documents)
        except CommerceError as error:
            return _unseen(documents, f"What is there now cannot be read: {error}")
        return {
            "documents": [
                {**_planned(document), "now": _ours(document, current.get(document["id"]))}
                for document in documents
            ],
            "requests": _requests(self.sanity, step, documents, current),
        }


def _is_open(step: JSON) -> bool:
    return step["state"] not in NOTHING_TO_UNDO


def _decisions(saga: JSON) -> JSON:
    if saga["status"] != SagaStatus.PARKED:
        return {}
    return {
        f'commerce-pipelines sagas {name} {saga["saga_id"]} --reason "…"': meaning
        for name, meaning in _DECISIONS.items()
    }


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


def _unseen(documents: list[JSON], why: str) -> JSON:
    return {
        "documents": [_planned(document) for document in documents],
        "requests": [],
        "unseen": why,
    }


def _requests(
    sanity: Sanity, step: JSON, documents: list[JSON], current: Mapping[str, JSON]
) -> list[JSON]:
    """Returns what to send so that the step is undone, to the documents as they are now."""
    plan = plan_undo(documents, current, step["idem_key"])
    requests = [
        _request(sanity, f"undoes {len(one.outcomes)} documents", one.mutations, one.transaction_id)
        for one in plan.transactions
    ]
    if step["result"] is not None:
        return requests
    why = "makes sure that the write in doubt never lands; 409 says that it has landed"
    return [_request(sanity, why, [seal_of(step["idem_key"])], step["idem_key"]), *requests]


def _request(sanity: Sanity, why: str, mutations: list[JSON], transaction_id: str) -> JSON:
    headers = {
        "Authorization": "Bearer $SANITY_SECRET_TOKEN",
        "Content-Type": "application/json",
    }
    body: dict[str, Any] = {"mutations": mutations, "transactionId": transaction_id}
    return {
        "why": why,
        "method": "POST",
        "url": sanity.mutate_url,
        "headers": headers,
        "body": body,
    }
