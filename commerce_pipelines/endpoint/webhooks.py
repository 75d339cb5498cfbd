"""Webhooks: verified, stored, acknowledged; nothing else happens in the request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import Connection

from commerce_pipelines.endpoint.bodies import BodyLimits, open_body
from commerce_pipelines.endpoint.messages import Accepted
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened
from commerce_pipelines.errors import Conflict, NotFound
from commerce_pipelines.services import intake
from commerce_pipelines.services.pim_import import TOPIC
from commerce_pipelines.store.messages import Receipt, receive

TOPICS = {"pim": TOPIC}
LIMITS = BodyLimits(most_bytes=256 * 1024, seconds=10.0)

router = APIRouter(tags=["webhooks"])

_HEADERS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "header",
        "required": True,
        "schema": {"type": "string"},
        "description": description,
    }
    for name, description in (
        ("webhook-id", "The delivery; a repeated one is taken once."),
        ("webhook-timestamp", "Seconds since 1970; at most 300 seconds off."),
        ("webhook-signature", "`v1,` and HMAC-SHA256 of `id.timestamp.body` in base64."),
    )
]


@router.post(
    "/webhooks/{source}",
    status_code=202,
    responses=documented(400, 401, 404, 408, 409, 413, 415, 422, 503),
    openapi_extra={
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ProductList"}}
            },
        },
    },
)
async def take_webhook(
    source: Annotated[str, Path(json_schema_extra={"enum": list(TOPICS)})],
    request: Request,
    response: Response,
    resources: Opened,
) -> Accepted:
    """Takes a signed delivery (Standard Webhooks); 202 says that it is stored."""
    if source not in TOPICS:
        raise NotFound(f"Nothing is taken from {source!r} here.")
    delivery = resources.callers.signed(request)
    async with open_body(request, LIMITS, delivery.feed) as body:
        delivery.verify()
        raw = body.whole()

    def store(connection: Connection) -> Receipt:
        resources.door.admit(connection, source, delivery.id)
        return receive(connection, source, delivery.id, TOPICS[source], [intake.whole(raw)])

    receipt = await resources.transact(store)
    if receipt.differs:
        raise Conflict(f"Delivery {delivery.id} was here before with another body, which counts.")
    resources.launcher.wake()
    accepted = Accepted.of(receipt.message_ids[0])
    response.headers["Location"] = accepted.location
    return accepted
