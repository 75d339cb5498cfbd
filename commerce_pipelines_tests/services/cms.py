"""Sanity as its editors see it, and the faults that it can be given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from commerce_pipelines.sandbox.server import Addresses

TIMEOUT_SECONDS = 30

Document = dict[str, Any]


def open_session() -> requests.Session:
    """Returns a session for GET and DELETE, repeated when an idle connection was just closed."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=2))
    return session


class Cms:
    """The documents, without those that seal transactions."""

    def __init__(self, addresses: Addresses) -> None:
        sanity = addresses["sanity"]
        self._base = f"{sanity['url']}/v2025-02-19/data"
        self._dataset = sanity["dataset"]
        self._faults = addresses["faults"]["url"]
        self._headers = {"Authorization": f"Bearer {sanity['token']}"}
        self._session = open_session()
        self._session.headers.update(self._headers)

    def documents(self) -> dict[str, Document]:
        """Returns all documents by title."""
        answer = self._session.get(f"{self._base}/export/{self._dataset}", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        found = [json.loads(line) for line in answer.text.splitlines() if line]
        return {
            document.get("title", document["_id"]): document
            for document in found
            if document["_type"] != "sagaSeal"
        }

    def titles(self) -> list[str]:
        """Returns the titles of all documents in order."""
        return sorted(self.documents())

    def edit(self, document_id: str, **operations: Any) -> None:
        """Patches a document as an editor does."""
        self._mutate({"patch": {"id": document_id, **operations}})

    def create(self, **document: Any) -> None:
        """Creates a document as an editor does."""
        self._mutate({"create": document})

    def delete(self, document_id: str) -> None:
        """Deletes a document as an editor does."""
        self._mutate({"delete": {"id": document_id}})

    def put_back(self, documents: Iterable[Document]) -> None:
        """Makes documents as they once were, each with its revision, in an empty dataset."""
        revisions: dict[str, list[Document]] = {}
        for document in sorted(documents, key=lambda each: str(each["_updatedAt"])):
            revisions.setdefault(document["_rev"], []).append(document)
        for revision, changed in revisions.items():
            mutations = [{"createOrReplace": document} for document in changed]
            self._mutate(*mutations, transactionId=revision)

    def fault(self, kind: str, **more: Any) -> None:
        """Puts a fault of mutations into force."""
        fault = {"kind": kind, "system": "sanity", "route": "mutate", **more}
        requests.post(self._faults, json=fault, timeout=TIMEOUT_SECONDS).raise_for_status()

    def heal(self) -> None:
        """Ends all faults."""
        self._session.delete(self._faults, timeout=TIMEOUT_SECONDS).raise_for_status()

    def transactions(self) -> list[str]:
        """Returns the ids of the transactions that changed something, oldest first."""
        answer = self._session.get(
            f"{self._faults}/effects", params={"system": "sanity"}, timeout=TIMEOUT_SECONDS
        )
        return [effect["transaction_id"] for effect in answer.json()]

    def mutation_requests(self) -> int:
        """Returns how many mutation requests came, those without an answer included."""
        answer = self._session.get(f"{self._faults}/requests", timeout=TIMEOUT_SECONDS)
        return sum(each["count"] for each in answer.json() if "mutate" in each["route"])

    def _mutate(self, *mutations: Any, **options: Any) -> None:
        answer = requests.post(
            f"{self._base}/mutate/{self._dataset}",
            json={"mutations": mutations, **options},
            headers=self._headers,
            timeout=TIMEOUT_SECONDS,
        )
        assert answer.status_code == 200, answer.text


def without_revisions(documents: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what every write changes."""
    return {
        title: {name: document[name] for name in document.keys() - {"_rev", "_updatedAt"}}
        for title, document in documents.items()
    }
