"""A small caller of the imitated systems, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import requests

from commerce_pipelines.sandbox.server import Addresses

TIMEOUT_SECONDS = 30


class Lake:
    """Speaks to the sandbox's Sanity and to its faults."""

    def __init__(self, addresses: Addresses, *, version: str = "2025-06-01") -> None:
        self.sanity = addresses["sanity"]
        self.faults = addresses["faults"]["url"]
        self.base = f"{self.sanity['url']}/v{version}/data"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.sanity['token']}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends one request below `/data`."""
        return self.session.request(
            method, f"{self.base}/{path}", timeout=TIMEOUT_SECONDS, **options
        )

    def mutate(
        self, *mutations: Any, transaction_id: str | None = None, **options: str
    ) -> requests.Response:
        """Sends one transaction."""
        body = {"mutations": list(mutations), "transactionId": transaction_id}
        params = {"returnIds": "true", **options}
        return self.ask("POST", "mutate/production", params=params, json=body)

    def create(self, **document: Any) -> dict[str, Any]:
        """Creates a document and returns it."""
        answer = self.mutate({"create": document}, returnDocuments="true")
        assert answer.status_code == 200, answer.text
        created: dict[str, Any] = answer.json()["results"][0]["document"]
        return created

    def patch(self, document_id: str, **operations: Any) -> dict[str, Any]:
        """Patches a document and returns it."""
        patch = {"id": document_id, **operations}
        answer = self.mutate({"patch": patch}, returnDocuments="true")
        assert answer.status_code == 200, answer.text
        patched: dict[str, Any] = answer.json()["results"][0]["document"]
        return patched

    def documents(self, *ids: str) -> dict[str, Any]:
        """Returns the answer of the document endpoint."""
        answer: dict[str, Any] = self.ask("GET", f"doc/production/{','.join(ids)}").json()
        return answer

    def document(self, document_id: str) -> dict[str, Any] | None:
        """Returns one document."""
        found = self.documents(document_id)["documents"]
        return found[0] if found else None

    def query(self, query: str, perspective: str | None = None, **params: Any) -> Any:
        """Returns the result of a query."""
        given = {f"${name}": json.dumps(value) for name, value in params.items()}
        if perspective is not None:
            given["perspective"] = perspective
        answer = self.ask("GET", "query/production", params={"query": query, **given})
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def fault(self, kind: str, **more: Any) -> dict[str, Any]:
        """Puts a fault into force."""
        answer = requests.post(self.faults, json={"kind": kind, **more}, timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 201, answer.text
        fault: dict[str, Any] = answer.json()
        return fault

    def effects(self) -> list[dict[str, Any]]:
        """Returns what changed something."""
        effects: list[dict[str, Any]] = requests.get(
            self.faults + "/effects", timeout=TIMEOUT_SECONDS
        ).json()
        return effects

    def forget(self) -> None:
        """Makes the sandbox as new."""
        for path in ("", "/effects", "/state"):
            requests.delete(self.faults + path, timeout=TIMEOUT_SECONDS)


def error_of(answer: requests.Response) -> dict[str, Any]:
    """Returns the error of a refusal."""
    error: dict[str, Any] = answer.json()["error"]
    return error


def item_of(answer: requests.Response) -> dict[str, Any]:
    """Returns the one mutation's error of a refused transaction."""
    (item,) = error_of(answer)["items"]
    found: dict[str, Any] = item["error"]
    return found


def ids_of(documents: Iterable[dict[str, Any]]) -> list[str]:
    """Returns the ids of documents, in order."""
    return [document["_id"] for document in documents]
