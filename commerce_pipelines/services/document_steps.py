"""The CMS's half of an import: write a pack of documents, and take them back.

Fields come in three kinds. *Feed* fields (`set`) always follow the feed.
*Seeded* fields (`setIfMissing`) are given once and then belong to editors.
Everything else is never touched, neither by the write nor by its undo.

Sanity's `_rev` is the id of the transaction that wrote a document last, and the
step's idempotency key is that id: a document is still ours when they are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.connectors.sanity_errors import (
    REFERENCE_MISSING,
    STILL_REFERENCED,
    DocumentsConflict,
)
from commerce_pipelines.connectors.sanity_mutations import pack
from commerce_pipelines.errors import NeedsPerson, Unknown
from commerce_pipelines.saga.step import JSON, ExternalStep, Undo

MOST_ATTEMPTS = 5
MOST_UNDONE = 1_000
# Sanity names one at a time; a person who sees so many knows enough.
MOST_REFERENCED = 20
UNDO_MARK = "-undo-"


@dataclass(frozen=True)
class WriteDocuments(ExternalStep):
    """Writes one transaction of product documents.

    The plan's `documents` are `{id, create, set, seed, unset, before, revision}`: `before` holds
    what our fields were (one that was missing is left out), `seed` only fields that are missing.
    """

    name = "sanity.write_documents"
    settle_seconds = 240.0
    seals = True
    sanity: Sanity

    def act(self, plan: JSON, key: str) -> JSON:
        """Sends the transaction; a repeat of one that landed changes nothing."""
        self.sanity.mutate([_write(document) for document in plan["documents"]], key)
        return {"documents": len(plan["documents"]), "revision": key}

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Seals the transaction's id: either it has landed, or it never can."""
        if self.sanity.seal(key):
            return None
        return {"documents": len(plan["documents"]), "revision": key}

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Deletes the created documents and restores our fields, where nobody changed them.

        Raises:
            NeedsPerson: Something refers to a document that should be deleted, or a document
                should get back a reference to one that is gone.
            Unknown: Editors keep changing the documents; it is tried again later.
        """
        del result
        outcomes: dict[str, str] = {}
        referrers: dict[str, tuple[str, ...]] = {}
        attempts = 0
        while attempts < MOST_ATTEMPTS and len(referrers) < MOST_REFERENCED:
            rest = [document for document in plan["documents"] if document["id"] not in outcomes]
            try:
                self._undo_documents(rest, key, outcomes)
                break
            except DocumentsConflict as conflict:
                _refuse_lost_references(conflict)
                found = _still_referenced(conflict)
                referrers.update(found)
                outcomes.update(dict.fromkeys(found, "referenced"))
                attempts += not found
        if referrers:
            raise NeedsPerson(
                f"Other documents in Sanity refer to {_told(referrers)}; they cannot be deleted "
                "before those references are removed."
            )
        if attempts == MOST_ATTEMPTS:
            raise Unknown("The documents change faster than they can be restored.")
        counts = Counter(outcomes.values())
        return Undo(superseded=counts["superseded"] == len(outcomes), report=dict(counts))

    def _undo_documents(self, documents: list[JSON], key: str, outcomes: dict[str, str]) -> None:
        current = self.sanity.fetch_documents(document["id"] for document in documents)
        plan = plan_undo(documents, current, key)
        outcomes.update(plan.untouched)
        for transaction in plan.transactions:
            self.sanity.mutate(transaction.mutations, transaction.transaction_id)
            outcomes.update(transaction.outcomes)


@dataclass(frozen=True)
class UndoTransaction:
    """One request that takes documents back.

    Attributes:
        outcomes: By document, what will have become of it.
    """

    transaction_id: str
    mutations: list[JSON]
    outcomes: dict[str, str]


@dataclass(frozen=True)
class UndoPlan:
    """How to take documents back from how they are now.

    Attributes:
        untouched: By document, why nothing is to be done: gone, restored or superseded.
    """

    untouched: dict[str, str]
    transactions: list[UndoTransaction]


def plan_undo(documents: list[JSON], current: Mapping[str, JSON], key: str) -> UndoPlan:
    """Decides what to take back of a `WriteDocuments` plan; also a person can send it.

    Args:
        documents: The plan's documents, all or some.
        current: What is there now, by id.
        key: The step's idempotency key.
    """
    undos = {
        document["id"]: _undo_document(document, current.get(document["id"]), key)
        for document in documents
    }
    sizes = ((id_, undo.mutations[0]) for id_, undo in undos.items() if undo.mutations)
    transactions = []
    for group in pack(sizes, max_count=MOST_UNDONE):
        ids = [mutation.document_id for mutation in group]
        mutations = [mutation for id_ in ids for mutation in undos[id_].mutations]
        digest = blake2b(repr(mutations).encode(), digest_size=6).hexdigest()
        outcomes = {id_: undos[id_].outcome for id_ in ids}
        transactions.append(UndoTransaction(f"{key}{UNDO_MARK}{digest}", mutations, outcomes))
    untouched = {id_: undo.outcome for id_, undo in undos.items() if not undo.mutations}
    return UndoPlan(untouched, transactions)


@dataclass(frozen=True)
class _DocumentUndo:
    outcome: str
    mutations: list[JSON]


def _still_referenced(conflict: DocumentsConflict) -> dict[str, tuple[str, ...]]:
    return {
        item.document_id: item.referenced_by
        for item in conflict.items
        if item.type == STILL_REFERENCED and item.document_id is not None
    }


def _refuse_lost_references(conflict: DocumentsConflict) -> None:
    for item in conflict.items:
        if item.type == REFERENCE_MISSING:
            raise NeedsPerson(
                f"{item.description}; it cannot be restored before that one is there again."
            ) from conflict


def _told(referrers: Mapping[str, tuple[str, ...]]) -> str:
    return ", ".join(
        f"{document} (from {', '.join(by)})" if by else document
        for document, by in referrers.items()
    )


def _write(document: JSON) -> JSON:
    if document["create"]:
        return {"create": {"_id": document["id"], **document["set"], **document["seed"]}}
    patch = {"id": document["id"], "ifRevisionID": document["revision"], "set": document["set"]}
    if document["seed"]:
        patch["setIfMissing"] = document["seed"]
    if document["unset"]:
        patch["unset"] = document["unset"]
    return {"patch": patch}


def _undo_document(document: JSON, current: JSON | None, key: str) -> _DocumentUndo:
    """Decides what to take back, looking at what is there now."""
    id_ = document["id"]
    if current is None:
        return _DocumentUndo("gone", [])
    if current["_rev"].startswith(key + UNDO_MARK):
        return _DocumentUndo("restored", [])
    guard = {"id": id_, "ifRevisionID": current["_rev"]}
    if document["create"] and current["_rev"] == key:
        touch = {"patch": {**guard, "unset": ["sagaGuard"]}}
        return _DocumentUndo("deleted", [touch, {"delete": {"id": id_}}])
    patch = _restore(document, current)
    if patch is None:
        return _DocumentUndo("superseded", [])
    return _DocumentUndo("restored", [{"patch": {**guard, **patch}}] if patch else [])


def _restore(document: JSON, current: JSON) -> JSON | None:
    """Returns the patch that puts back the fields still ours; None when none is."""
    written = {**document["set"], **document["seed"], **dict.fromkeys(document["unset"])}
    written.pop("_type", None)
    ours = [name for name, value in written.items() if current.get(name) == value]
    if not ours:
        return None
    before = document["before"]
    changed = [name for name in ours if before.get(name) != current.get(name)]
    back = {name: before[name] for name in changed if name in before}
    gone = [name for name in changed if name not in before]
    return {**({"set": back} if back else {}), **({"unset": gone} if gone else {})}
