"""Mutations: one request, one transaction, all of it or nothing.

Belongs here: what each kind of mutation does and when it is refused. Does not
belong here: patch operations (`patch.py`), keeping the outcome (`dataset.py`),
HTTP. References are checked at the end, as in the Content Lake, so the order of
mutations in a transaction does not matter to them.
Facts: sanity.io/docs/http-reference/mutation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from commerce_pipelines.sandbox.sanity import errors
from commerce_pipelines.sandbox.sanity.dataset import Dataset
from commerce_pipelines.sandbox.sanity.document_rules import (
    MAX_NESTING,
    Document,
    Survey,
    is_valid_id,
    new_id,
    with_array_keys,
)
from commerce_pipelines.sandbox.sanity.groq import select_documents
from commerce_pipelines.sandbox.sanity.patch import InvalidPatchError, apply_patch

MAX_DELETED_BY_QUERY = 10_000
_IMMUTABLE = ("_id", "_type")


@dataclass(frozen=True)
class Result:
    """What one mutation did to one document; a deleted one is given as it last was."""

    id: str
    operation: str
    document: Document


class Transaction:
    """Applies mutations on top of a dataset without touching it until `commit`.

    Args:
        dataset: What it builds on.
        transaction_id: Becomes the `_rev` of every document written.
        array_keys: Gives objects in arrays a `_key`.
    """

    def __init__(self, dataset: Dataset, transaction_id: str, *, array_keys: bool = False) -> None:
        self._dataset = dataset
        self.transaction_id = transaction_id
        self._array_keys = array_keys
        self._now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._written: dict[str, Document | None] = {}
        self._touched_by: dict[str, int] = {}
        self._references: dict[str, set[str]] = {}
        self.results: list[Result] = []

    def apply(self, mutations: list[Any]) -> None:
        """Applies all mutations in order and checks the outcome.

        Raises:
            SanityError: One of them is not possible; the dataset is as before.
        """
        for index, mutation in enumerate(mutations):
            kind, body = _kind_and_body(mutation, index)
            try:
                _MUTATIONS[kind](self, index, body)
            except RecursionError:
                raise errors.invalid("Nested too deeply", index) from None
        self._survey()
        self._check_references()

    def commit(self) -> None:
        """Makes the outcome the dataset's state."""
        self._dataset.commit(self.transaction_id, self._written, self._references)

    @property
    def document_count(self) -> int:
        """How many documents it writes or deletes."""
        return len(self._written)

    def create(self, index: int, body: Any) -> None:
        """Writes a new document; an id in use is refused."""
        document = self._checked(index, body)
        if document.get("_id") is None:
            document["_id"] = new_id()
        self._check_id(index, document["_id"])
        if self._get(document["_id"]) is not None:
            raise errors.already_exists(index, document["_id"])
        self._write(index, document, "create")

    def create_or_replace(self, index: int, body: Any) -> None:
        """Writes a document whole, whatever was there."""
        document = self._checked(index, body)
        self._check_id(index, document.get("_id"))
        existing = self._get(document["_id"])
        if existing is not None and existing["_type"] != document["_type"]:
            self._check_unreferenced(index, document["_id"])
        self._write(index, document, "create" if existing is None else "update")

    def create_if_not_exists(self, index: int, body: Any) -> None:
        """Writes a document unless there is one."""
        document = self._checked(index, body)
        self._check_id(index, document.get("_id"))
        existing = self._get(document["_id"])
        if existing is None:
            self._write(index, document, "create")
        else:
            self.results.append(Result(document["_id"], "none", existing))

    def delete(self, index: int, body: Any) -> None:
        """Removes one document, or all that a query finds; none is no error."""
        selected = self._selected(index, body)
        if len(selected) > MAX_DELETED_BY_QUERY:
            raise errors.invalid(f"Cannot delete more than {MAX_DELETED_BY_QUERY} documents", index)
        for document in selected:
            self._touched_by[document["_id"]] = index
            self._written[document["_id"]] = None
            self.results.append(Result(document["_id"], "delete", document))

    def patch(self, index: int, body: Any) -> None:
        """Changes parts of one document, or of all that a query finds."""
        selected = self._selected(index, body)
        if not selected and "id" in body:
            raise errors.not_found(index, body["id"])
        expected = body.get("ifRevisionID")
        for document in selected:
            if expected is not None and document["_rev"] != expected:
                raise errors.revision_differs(index, document["_id"], document["_rev"], expected)
            self._patch_one(index, document, body)

    def _patch_one(self, index: int, document: Document, body: Mapping[str, Any]) -> None:
        try:
            patched = apply_patch(document, body)
        except InvalidPatchError as problem:
            raise errors.invalid(str(problem), index) from problem
        for attribute in _IMMUTABLE:
            if patched.get(attribute) != document[attribute]:
                raise errors.immutable(index, document["_id"], attribute)
        self._write(index, patched, "update")

    def _write(self, index: int, document: Document, operation: str) -> None:
        if self._array_keys:
            document = with_array_keys(document)
        document.setdefault("_createdAt", self._now)
        document["_updatedAt"] = self._now
        document["_rev"] = self.transaction_id
        self._touched_by[document["_id"]] = index
        self._written[document["_id"]] = document
        self.results.append(Result(document["_id"], operation, document))

    def _get(self, document_id: str) -> Document | None:
        if document_id in self._written:
            return self._written[document_id]
        return self._dataset.documents.get(document_id)

    def _current(self) -> dict[str, Document]:
        merged = self._dataset.documents | self._written
        return {key: document for key, document in merged.items() if document is not None}

    def _selected(self, index: int, body: Any) -> list[Document]:
        if not isinstance(body, dict) or ("id" in body) == ("query" in body):
            raise errors.invalid("A mutation selects documents by either id or query", index)
        if "query" in body:
            return select_documents(body["query"], body.get("params") or {}, self._current())
        self._check_id(index, body["id"])
        document = self._get(body["id"])
        return [] if document is None else [document]

    def _checked(self, index: int, body: Any) -> Document:
        if not isinstance(body, dict):
            raise errors.invalid("A document must be an object", index)
        if not isinstance(body.get("_type"), str) or not body["_type"]:
            raise errors.invalid("Document does not have a type", index)
        document = body.copy()
        given = document.get("_id")
        if isinstance(given, str) and given.endswith("."):
            document["_id"] = new_id(given)
        return document

    def _check_id(self, index: int, document_id: object) -> None:
        if document_id is None:
            raise errors.invalid("Document does not have an ID", index)
        if not is_valid_id(document_id):
            raise errors.invalid(f'Malformed document ID: "{document_id}"', index)

    def _survey(self) -> None:
        for document_id, document in self._written.items():
            if document is None:
                continue
            survey = Survey(document)
            if survey.depth > MAX_NESTING:
                text = f'Document "{document_id}" is nested deeper than {MAX_NESTING} levels'
                raise errors.invalid(text, self._touched_by[document_id])
            self._references[document_id] = survey.strong_references

    def _check_references(self) -> None:
        for document_id, targets in self._references.items():
            for target in sorted(targets):
                if self._get(target) is None:
                    index = self._touched_by[document_id]
                    raise errors.reference_missing(index, document_id, target)
        for document_id, document in self._written.items():
            if document is None:
                self._check_unreferenced(self._touched_by[document_id], document_id)

    def _check_unreferenced(self, index: int, document_id: str) -> None:
        before = self._dataset.referrers(document_id) - self._written.keys()
        within = {source for source, targets in self._references.items() if document_id in targets}
        by = sorted((before | within) - {document_id})
        if by:
            raise errors.still_referenced(index, document_id, by)


_MUTATIONS: dict[str, Callable[[Transaction, int, Any], None]] = {
    "create": Transaction.create,
    "createOrReplace": Transaction.create_or_replace,
    "createIfNotExists": Transaction.create_if_not_exists,
    "delete": Transaction.delete,
    "patch": Transaction.patch,
}


def _kind_and_body(mutation: Any, index: int) -> tuple[str, Any]:
    if not isinstance(mutation, dict) or len(mutation) != 1:
        raise errors.invalid("A mutation must be an object with exactly one key", index)
    ((kind, body),) = mutation.items()
    if kind not in _MUTATIONS:
        raise errors.invalid(f'Unknown mutation type "{kind}"', index)
    return kind, body
