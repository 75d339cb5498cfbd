"""Queries over a dataset's documents.

Belongs here: running a query, what a perspective shows. Does not belong here:
the language (`groq_parser.py`).
Facts: sanity.io/docs, "Perspectives for Content Lake".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commerce_pipelines.sandbox.sanity import errors
from commerce_pipelines.sandbox.sanity.document_rules import Document, is_hidden
from commerce_pipelines.sandbox.sanity.groq_expressions import Scope
from commerce_pipelines.sandbox.sanity.groq_parser import parse

_DRAFTS = "drafts."
_VERSIONS = "versions."


def run_query(query: str, params: Mapping[str, Any], documents: Mapping[str, Document]) -> Any:
    """Returns the result of a query over these documents.

    Raises:
        SanityError: The query is not within the subset.
    """
    return parse(query, params).evaluate(Scope(documents))


def select_documents(
    query: object, params: object, documents: Mapping[str, Document]
) -> list[Document]:
    """Returns the whole documents that a mutation's query finds.

    Raises:
        SanityError: The query is not within the subset.
    """
    if not isinstance(query, str) or not isinstance(params, dict):
        raise errors.invalid("A query must be a string and its params an object")
    found = run_query(query, params, documents)
    ids = [str(item.get("_id")) for item in found or [] if isinstance(item, dict)]
    return [documents[document_id] for document_id in ids if document_id in documents]


def visible(
    documents: Mapping[str, Document], perspective: str, *, anonymous: bool
) -> Mapping[str, Document]:
    """Returns the documents that a perspective shows.

    Args:
        documents: All of the dataset, by id.
        perspective: `raw`, `published`, `drafts` or `previewDrafts`.
        anonymous: Whether ids with a dot are hidden, as from readers without a token.

    Raises:
        SanityError: The perspective is another one.
    """
    if anonymous:
        documents = {key: document for key, document in documents.items() if not is_hidden(key)}
    if perspective == "raw":
        return documents
    published = {
        key: document
        for key, document in documents.items()
        if not key.startswith((_DRAFTS, _VERSIONS))
    }
    if perspective == "published":
        return published
    if perspective in ("drafts", "previewDrafts"):
        return {key: doc | {"_originalId": key} for key, doc in published.items()} | _drafts(
            documents
        )
    raise errors.invalid(f'Perspective "{perspective}" is not supported by this sandbox')


def _drafts(documents: Mapping[str, Document]) -> dict[str, Document]:
    return {
        key.removeprefix(_DRAFTS): document | {"_id": key.removeprefix(_DRAFTS), "_originalId": key}
        for key, document in documents.items()
        if key.startswith(_DRAFTS)
    }
