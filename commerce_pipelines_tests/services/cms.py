"""Sanity as its editors see it, and the faults that it can be given."""

from __future__ import annotations

import json
from typing import Any

import requests

from commerce_pipelines.sandbox.server import Addresses

TIMEOUT_SECONDS = 30

Document = dict[str, Any]


class Cms:
    """The documents, without those that seal transactions."""

    def __init__(self, addresses: Addresses) -> None:
        sanity = addresses["sanity"]
        self._base = f"{sanity['url']}/v2025-02-19/data"
        self._dataset = sanity["dataset"]
        self._faults = addresses["faults"]["url"]
        self._headers = {"Authorization": f"Bearer {sanity['token']}"}

    def documents(self) -> dict[str, Document]:
        """Returns all documents by title."""
        answer = requests.get(
            f"{self._base}/export/{self._dataset}", headers=self._headers, timeout=TIMEOUT_SECONDS
        )
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

    def fault(self, kind: str, **more: Any) -> None:
        """Puts a fault of mutations into force."""
        fault = {"kind": kind, "system": "sanity", "route": "mutate", **more}
        requests.post(self._faults, json=fault, timeout=TIMEOUT_SECONDS).raise_for_status()

    def heal(self) -> None:
        """Ends all faults."""
        requests.delete(self._faults, timeout=TIMEOUT_SECONDS).raise_for_status()

    def transactions(self) -> list[str]:
        """Returns the ids of the transactions that changed something, oldest first."""
        answer = requests.get(
            f"{self._faults}/effects", params={"system": "sanity"}, timeout=TIMEOUT_SECONDS
        )
        return [effect["transaction_id"] for effect in answer.json()]

    def mutation_requests(self) -> int:
        """Returns how many mutation requests came, those without an answer included."""
        answer = requests.get(f"{self._faults}/requests", timeout=TIMEOUT_SECONDS)
        return sum(each["count"] for each in answer.json() if "mutate" in each["route"])

    def _mutate(self, mutation: Any) -> None:
        answer = requests.post(
            f"{self._base}/mutate/{self._dataset}",
            json={"mutations": [mutation]},
            headers=self._headers,
            timeout=TIMEOUT_SECONDS,
        )
        assert answer.status_code == 200, answer.text
