"""The Content Lake's HTTP interface, `/v{date}/…` below `/sanity`.

Belongs here: what the routes read and answer. Does not belong here: what
mutations and queries mean. Every route runs on the event loop without awaiting
between reading and writing the dataset: that makes a transaction atomic.
Facts: sanity.io/docs/http-reference; what Sanity's official client sends.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from commerce_pipelines.sandbox.faults import FaultKind, Faults
from commerce_pipelines.sandbox.record import Record
from commerce_pipelines.sandbox.sanity import errors
from commerce_pipelines.sandbox.sanity.access import Access
from commerce_pipelines.sandbox.sanity.dataset import Dataset
from commerce_pipelines.sandbox.sanity.document_rules import (
    Document,
    is_hidden,
    is_valid_id,
    new_id,
)
from commerce_pipelines.sandbox.sanity.groq import run_query, visible
from commerce_pipelines.sandbox.sanity.transaction import Result, Transaction

SYSTEM = "sanity"
MAX_MUTATION_BYTES = 4_000_000
MAX_QUERY_BYTES = 4_000_000
PUBLISHED_BY_DEFAULT_SINCE = "2025-02-19"
_EXPORT_BATCH = 500
_MUTATE = "/v{version}/data/mutate/{dataset}"
_QUERY = "/v{version}/data/query/{dataset}"
_PERMISSIONS = {"delete": "delete", "patch": "update"}


class SanityRoutes:
    """The routes over one dataset.

    Args:
        dataset: The documents.
        access: Who may do what, and how often.
        faults: For faults that only Sanity shows.
        record: Where effects are noted.
    """

    def __init__(self, dataset: Dataset, access: Access, faults: Faults, record: Record) -> None:
        self._dataset = dataset
        self._access = access
        self._faults = faults
        self._record = record

    def router(self) -> APIRouter:
        """Returns the routes."""
        router = APIRouter(prefix=f"/{SYSTEM}", tags=[SYSTEM])
        router.add_api_route(_MUTATE, self.mutate, methods=["POST"])
        # One by one: together they would get one name in the OpenAPI document.
        router.add_api_route(_QUERY, self.query, methods=["GET"])
        router.add_api_route(_QUERY, self.query, methods=["POST"])
        router.add_api_route("/v{version}/data/doc/{dataset}/{ids}", self.documents)
        router.add_api_route("/v{version}/data/export/{dataset}", self.export)
        router.add_api_route(
            "/v{version}/data/history/{dataset}/documents/{document_id}", self.history
        )
        return router

    async def mutate(self, request: Request, dataset: str) -> Response:
        """Applies one transaction."""
        known = self._access.check(request, dataset)
        self._access.count_mutation()
        body = _json(await _read(request, MAX_MUTATION_BYTES))
        mutations, options = _mutations(body), _Options(request, body)
        if not known:
            raise errors.not_permitted(_permission(mutations))
        self._show_faults(request, mutations, options.transaction_id)
        if options.transaction_id in self._dataset.transaction_ids:
            raise errors.transaction_exists(options.transaction_id)
        transaction = Transaction(
            self._dataset, options.transaction_id, array_keys=options.array_keys
        )
        transaction.apply(mutations)
        if not options.dry_run:
            transaction.commit()
            self._note(transaction, mutations)
        answer = {
            "transactionId": options.transaction_id,
            "results": [options.shown(result) for result in transaction.results],
        }
        return _answer(answer)

    def _show_faults(self, request: Request, mutations: list[Any], transaction_id: str) -> None:
        where = SYSTEM, request.method, request.url.path
        if self._faults.take(frozenset({FaultKind.TRANSACTION_CONFLICT}), *where):
            raise errors.transaction_conflict(transaction_id)
        deletes = [
            at for at, each in enumerate(mutations) if isinstance(each, dict) and "delete" in each
        ]
        if deletes and self._faults.take(frozenset({FaultKind.REFUSE_DELETE}), *where):
            raise errors.not_permitted("delete", deletes[0])

    def _note(self, transaction: Transaction, mutations: list[Any]) -> None:
        kinds = sorted({kind for mutation in mutations for kind in mutation})
        self._record.effect(
            SYSTEM,
            "+".join(kinds),
            transaction.document_count,
            transaction_id=transaction.transaction_id,
        )

    async def query(self, request: Request, dataset: str, version: str) -> Response:
        """Answers a GROQ query."""
        known = self._access.check(request, dataset)
        started = time.perf_counter()
        body = await _read(request, MAX_QUERY_BYTES) if request.method == "POST" else b""
        query, params = _posted_query(_json(body)) if body else _queried(request)
        perspective = request.query_params.get("perspective") or _default_perspective(version)
        seen = visible(self._indexed(request), perspective, anonymous=not known)
        answer = {"query": query, "result": run_query(query, params, seen), "syncTags": []}
        if request.query_params.get("returnQuery") == "false":
            del answer["query"]
        return _answer(answer | {"ms": int((time.perf_counter() - started) * 1000)})

    def _indexed(self, request: Request) -> dict[str, Document]:
        lag = self._faults.take(
            frozenset({FaultKind.QUERY_LAG}), SYSTEM, request.method, request.url.path
        )
        return self._dataset.documents if lag is None else self._dataset.lagging_index(lag.seconds)

    async def documents(self, request: Request, dataset: str, ids: str) -> Response:
        """Gives documents by id from the store itself, in the order asked for."""
        known = self._access.check(request, dataset)
        if request.query_params.get("includeAllVersions") == "true":
            raise errors.invalid("includeAllVersions is not supported by this sandbox")
        found: list[Document] = []
        omitted: list[dict[str, str]] = []
        for document_id in ids.split(","):
            if not is_valid_id(document_id):
                raise errors.invalid(f'Malformed document ID: "{document_id}"')
            document = self._dataset.documents.get(document_id)
            if document is None:
                omitted.append({"id": document_id, "reason": "existence"})
            elif not known and is_hidden(document_id):
                omitted.append({"id": document_id, "reason": "permission"})
            else:
                found.append(document)
        if request.query_params.get("excludeContent") == "true":
            return _answer({"omitted": omitted})
        return _answer({"documents": found, "omitted": omitted})

    async def export(self, request: Request, dataset: str) -> Response:
        """Streams all documents, one JSON object a line."""
        known = self._access.check(request, dataset)
        types = {name for name in request.query_params.get("types", "").split(",") if name}
        chosen = [
            document
            for document_id, document in self._dataset.documents.items()
            if (known or not is_hidden(document_id)) and (not types or document["_type"] in types)
        ]
        return StreamingResponse(_lines(chosen), media_type="application/x-ndjson")

    async def history(self, request: Request, dataset: str, document_id: str) -> Response:
        """Gives a document's current revision, or the last one before it was deleted."""
        if not self._access.check(request, dataset):
            raise errors.plain(401, "Unauthorized", "Unauthorized - must be authenticated")
        revision = request.query_params.get("revision")
        if revision is None and request.query_params.get("lastRevision") != "true":
            raise errors.invalid("This sandbox knows history by lastRevision=true or revision")
        last = self._dataset.documents.get(document_id) or self._dataset.deleted.get(document_id)
        fits = last is not None and revision in (None, last["_rev"])
        return _answer({"documents": [last] if fits else []})


class _Options:
    """What a mutation request asks for besides its mutations; query or body, as documented."""

    def __init__(self, request: Request, body: dict[str, Any]) -> None:
        query = request.query_params
        self.dry_run = query.get("dryRun") == "true" or body.get("dryRun") is True
        self.array_keys = query.get("autoGenerateArrayKeys") == "true"
        self._ids = query.get("returnIds") == "true"
        self._documents = query.get("returnDocuments") == "true"
        given = body.get("transactionId") or query.get("transactionId") or new_id()
        if not isinstance(given, str):
            raise errors.invalid("transactionId must be a string")
        self.transaction_id = given
        if query.get("visibility", "sync") not in ("sync", "async", "deferred"):
            raise errors.invalid("visibility must be sync, async or deferred")

    def shown(self, result: Result) -> dict[str, Any]:
        """Returns what the answer says about one result."""
        shown: dict[str, Any] = {"operation": result.operation}
        if self._ids or self._documents:
            shown["id"] = result.id
        if self._documents:
            shown["document"] = result.document
        return shown


def _permission(mutations: list[Any]) -> str:
    first = next(iter(mutations[0]), "") if mutations and isinstance(mutations[0], dict) else ""
    return _PERMISSIONS.get(first, "create")


def _default_perspective(version: str) -> str:
    recent = version == "X" or version >= PUBLISHED_BY_DEFAULT_SINCE
    return "published" if recent else "raw"


async def _read(request: Request, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes <= limit_bytes:
            chunks.append(chunk)
    # Read to the end even so: a caller that is still sending would not see the answer.
    if size_bytes > limit_bytes:
        raise errors.too_large(limit_bytes)
    return b"".join(chunks)


def _json(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise errors.invalid("The body is not JSON") from None
    if not isinstance(parsed, dict):
        raise errors.invalid("The body must be an object")
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _mutations(body: dict[str, Any]) -> list[Any]:
    mutations = body.get("mutations")
    if not isinstance(mutations, list):
        raise errors.invalid("mutations must be an array")
    return mutations


def _posted_query(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    query, params = body.get("query"), body.get("params") or {}
    if not isinstance(query, str) or not isinstance(params, dict):
        raise errors.invalid("query must be a string and params an object")
    return query, params


def _queried(request: Request) -> tuple[str, dict[str, Any]]:
    query = request.query_params.get("query")
    if query is None:
        raise errors.invalid("The query parameter is missing")
    params: dict[str, Any] = {}
    for name, text in request.query_params.items():
        if name.startswith("$"):
            try:
                params[name[1:]] = json.loads(text)
            except ValueError:
                raise errors.invalid(f"Parameter {name} is not JSON") from None
    return query, params


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def _lines(documents: list[Document]) -> AsyncIterator[bytes]:
    for start in range(0, len(documents), _EXPORT_BATCH):
        batch = documents[start : start + _EXPORT_BATCH]
        yield b"".join(_dump(document) + b"\n" for document in batch)


def _answer(value: object) -> Response:
    return Response(_dump(value), media_type="application/json; charset=utf-8")


async def refuse(request: Request, refusal: Exception) -> Response:
    """Answers with a refusal, as an exception handler of the application."""
    if not isinstance(refusal, errors.SanityError):
        raise refusal
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
