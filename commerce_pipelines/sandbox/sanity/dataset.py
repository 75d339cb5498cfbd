"""The documents of one dataset, in memory and, on request, in the state file.

Belongs here: current documents, the last revision of deleted ones, accepted
transaction ids, who refers to whom, and what queries see of all that. Does not
belong here: what a mutation means (`transaction.py`). Documents are never
changed in place, so they may be shared freely.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from commerce_pipelines.sandbox.sanity.document_rules import Document, Survey
from commerce_pipelines.sandbox.state_file import StateFile

_DOCUMENTS, _DELETED, _TRANSACTIONS = "sanity/document", "sanity/deleted", "sanity/transaction"


class Dataset:
    """One dataset of the Content Lake.

    Args:
        state: Where it survives a restart.
        clock: Seconds that only go forward; what a lagging index is measured by.
    """

    def __init__(self, state: StateFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self.documents: dict[str, Document] = state.load(_DOCUMENTS)
        self.deleted: dict[str, Document] = state.load(_DELETED)
        self.transaction_ids: set[str] = set(state.load(_TRANSACTIONS))
        self._strong: dict[str, set[str]] = {}
        self._referrers: dict[str, set[str]] = {}
        for document_id, document in self.documents.items():
            self._refer(document_id, Survey(document).strong_references)
        self._index: dict[str, Document] | None = None
        self._indexed_at = 0.0

    def referrers(self, document_id: str) -> set[str]:
        """Returns the ids of the documents that refer to this one strongly."""
        return self._referrers.get(document_id, set())

    def commit(
        self,
        transaction_id: str,
        written: Mapping[str, Document | None],
        references: Mapping[str, set[str]],
    ) -> None:
        """Makes a transaction's outcome the current state, durably first.

        Args:
            transaction_id: Recorded as used.
            written: Each changed document by id; None for a deleted one.
            references: Strong references of each document that was written.
        """
        gone = {
            key: self.documents[key]
            for key, new in written.items()
            if new is None and key in self.documents
        }
        kept = {key: new for key, new in written.items() if new is not None}
        self._state.save(
            {
                _DOCUMENTS: kept | dict.fromkeys(gone),
                _DELETED: gone | dict.fromkeys(kept.keys() & self.deleted.keys()),
                _TRANSACTIONS: {transaction_id: True},
            }
        )
        self.transaction_ids.add(transaction_id)
        for document_id in gone:
            self._refer(document_id, set())
            del self.documents[document_id]
        for document_id in kept:
            self._refer(document_id, references[document_id])
            self.deleted.pop(document_id, None)
        self.documents.update(kept)
        self.deleted.update(gone)

    def _refer(self, source: str, targets: set[str]) -> None:
        for target in self._strong.pop(source, set()) - targets:
            self._referrers[target].discard(source)
        for target in targets:
            self._referrers.setdefault(target, set()).add(source)
        if targets:
            self._strong[source] = targets

    def freeze_index(self) -> None:
        """Makes the lagging index stand where the documents stand now."""
        self._index = dict(self.documents)
        self._indexed_at = self._clock()

    def lagging_index(self, refresh_seconds: float | None) -> dict[str, Document]:
        """Returns the documents as an index sees them that is refreshed only now and then.

        Args:
            refresh_seconds: Its age at which it catches up; None for never.
        """
        aged = refresh_seconds is not None and self._clock() - self._indexed_at > refresh_seconds
        if self._index is None or aged:
            self.freeze_index()
        return self._index or {}

    def reset(self) -> None:
        """Forgets everything, accepted transactions too."""
        self._state.clear(_DOCUMENTS, _DELETED, _TRANSACTIONS)
        for kept in (self.documents, self.deleted, self._strong, self._referrers):
            kept.clear()
        self.transaction_ids.clear()
        self._index = None
