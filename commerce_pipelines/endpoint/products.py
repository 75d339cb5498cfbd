"""`POST /products`: the PIM's import, answered with the products where that is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from sqlalchemy import Connection

from commerce_pipelines.domain.stored import StoredProduct
from commerce_pipelines.endpoint.bodies import Body, BodyLimits, open_body
from commerce_pipelines.endpoint.messages import Accepted, find_delivery
from commerce_pipelines.endpoint.preferences import (
    IDEMPOTENCY_KEY,
    PREFER,
    WAIT_SECONDS,
    idempotency_key,
    patience_seconds,
    preferences,
)
from commerce_pipelines.endpoint.problems import ProblemError, documented
from commerce_pipelines.endpoint.resources import STORE_SECONDS, Opened, Resources
from commerce_pipelines.endpoint.webhooks import PIM
from commerce_pipelines.errors import Conflict
from commerce_pipelines.services import intake
from commerce_pipelines.services.pim_import import TOPIC
from commerce_pipelines.store.catalog import load_products
from commerce_pipelines.store.message_reads import Delivery, count_items, load_product_ids
from commerce_pipelines.store.messages import MOST_TRIES, receive

# Of unsigned lists. Signed ones are the PIM's, by whichever route they come.
SOURCE = "products"
LIMITS = BodyLimits(most_bytes=256 * 1024 * 1024, seconds=300.0)
# Reading, checking and storing a list; far more than it takes here.
SLOWEST_BYTES_A_SECOND = 1024 * 1024
# More would be an answer of many megabytes that nobody reads.
MOST_ANSWERED = 5_000
PAGE = 500

router = APIRouter(tags=["import"])

_products = TypeAdapter(list[StoredProduct])


@dataclass(frozen=True)
class Stored:
    """A list that is in the inbox.

    Attributes:
        message_id: Of its first part.
        item_count: How many products it holds.
        differs: Another list was here before under the same key.
    """

    message_id: int
    item_count: int
    differs: bool


@router.post(
    "/products",
    status_code=201,
    response_model=list[StoredProduct],
    responses={
        201: {
            "description": "The products, in the order of the list, without the rejected ones.",
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "The message."},
                "Rejected-Count": {
                    "schema": {"type": "integer"},
                    "description": "How many were rejected, if any; the message says why.",
                },
            },
        },
        202: {
            "model": Accepted,
            "description": f"Stored: asked for by `Prefer: respond-async`, not finished within "
            f"{WAIT_SECONDS:g} seconds, or more than {MOST_ANSWERED} products.",
        },
        **documented(400, 401, 403, 408, 409, 413, 415, 422, 502, 503),
    },
    openapi_extra={
        "parameters": [
            PREFER,
            {**IDEMPOTENCY_KEY, "description": "Names the list: sent again, it is imported once."},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ProductList"}}
            },
        },
    },
)
async def import_products(request: Request, resources: Opened) -> Response:
    """Imports a list of products and answers with them.

    Signed as a webhook, unless the endpoint takes unsigned requests from this machine.
    """
    delivery = resources.callers.signed_or_local(request)
    source = PIM if delivery else SOURCE
    key = delivery.id if delivery else idempotency_key(request) or uuid4().hex
    async with open_body(request, LIMITS, delivery.feed if delivery else _ignore) as body:
        if delivery:
            delivery.verify()
        seconds = STORE_SECONDS + body.size_bytes / SLOWEST_BYTES_A_SECOND

        def store(connection: Connection) -> Stored | None:
            resources.door.admit(connection, source, key)
            return _store(connection, source, key, body)

        stored = await resources.transact(store, seconds)
    if stored is None:
        return Response(b"[]", 201, media_type="application/json")
    if stored.differs:
        raise _reused(key, signed=delivery is not None)
    resources.launcher.wake()
    preferred = preferences(request)
    if "respond-async" in preferred:
        return _accepted(stored.message_id, {"Preference-Applied": "respond-async"})
    return await _finished(resources, stored, patience_seconds(preferred))


async def _finished(resources: Resources, stored: Stored, seconds: float) -> Response:
    """Waits for the import and answers with what came of it."""
    if stored.item_count > MOST_ANSWERED:
        return _accepted(stored.message_id)
    if not await resources.waiting.until_finished(stored.message_id, seconds):
        return _accepted(stored.message_id)
    delivery = await find_delivery(resources, stored.message_id)
    if delivery.state == "dead":
        raise _dead(delivery)
    outcome = delivery.outcome
    if outcome and outcome.rejected_count and not outcome.product_count:
        raise ProblemError(
            422,
            "Every product of the list was rejected.",
            headers=_location(delivery.id),
            errors=outcome.rejected,
        )
    headers = _location(delivery.id)
    if outcome and outcome.rejected_count:
        headers["Rejected-Count"] = str(outcome.rejected_count)
    body = await resources.transact(
        lambda connection: _render(connection, delivery.id), STORE_SECONDS * 10
    )
    return Response(body, 201, headers, "application/json")


def _store(connection: Connection, source: str, key: str, body: Body) -> Stored | None:
    """Puts a list into the inbox; an empty one is nothing to store."""
    parts = intake.parts(body.texts())
    first = next(parts, None)
    if first is None:
        return None
    receipt = receive(
        connection, source, key, TOPIC, chain([first], parts), body_sha256=body.sha256
    )
    count = count_items(connection, receipt.message_ids)
    return Stored(receipt.message_ids[0], count, receipt.differs)


def _render(connection: Connection, message_id: int) -> bytes:
    """Returns a delivery's products as JSON, page by page: the text of each is all that is kept."""
    ids = load_product_ids(connection, message_id, MOST_ANSWERED)
    pages = (load_products(connection, page) for page in _pages(ids))
    return b"[" + b",".join(_products.dump_json(page)[1:-1] for page in pages if page) + b"]"


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]


def _accepted(message_id: int, headers: dict[str, str] | None = None) -> Response:
    content = Accepted.of(message_id).model_dump_json()
    return Response(content, 202, _location(message_id) | (headers or {}), "application/json")


def _location(message_id: int) -> dict[str, str]:
    return {"Location": Accepted.of(message_id).location}


def _reused(key: str, *, signed: bool) -> Exception:
    reason = f"{key} was here before with another list, which counts."
    return Conflict(f"Delivery {reason}") if signed else ProblemError(422, f"The key {reason}")


def _dead(delivery: Delivery) -> ProblemError:
    status = 502 if delivery.tries >= MOST_TRIES else 422
    detail = f"The import was given up: {delivery.last_error}"
    return ProblemError(status, detail, headers=_location(delivery.id))


def _ignore(chunk: bytes) -> None:
    """Takes a piece of an unsigned body."""
