"""Webhooks: verified, stored, acknowledged; nothing else happens in the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from commerce_pipelines.domain.order_updates import CHANGED, LONGEST_TEXT, MOST_ORDERS
from commerce_pipelines.endpoint.bodies import BodyLimits, read_body
from commerce_pipelines.endpoint.messages import Accepted
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened, Resources
from commerce_pipelines.errors import Conflict, NotFound
from commerce_pipelines.services import intake, order_status_import, price_changes
from commerce_pipelines.services.pim_import import TOPIC
from commerce_pipelines.store.messages import Part, Receipt, receive

PIM = "pim"
TOPICS = {PIM: TOPIC}
ERP = "erp"
LIMITS = BodyLimits(most_bytes=256 * 1024, seconds=10.0)

router = APIRouter(tags=["webhooks"])


class PriceBookChange(BaseModel):
    """What the ERP says has changed of prices, stock or purchase rules."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": price_changes.CHANGED, "variants": ["4711"]}]}
    )

    type: str = Field(json_schema_extra={"const": price_changes.CHANGED})
    variants: list[str] | None = Field(
        None, description="Variants by the ERP's ids; without it all of them have changed."
    )


class OrderUpdate(BaseModel):
    """What the ERP says of one order; what else it holds is not read."""

    id: str = Field(max_length=LONGEST_TEXT, description="The order's id in the ERP.")
    reference: str | None = Field(
        None, max_length=LONGEST_TEXT, description="Our id of it; null for one by telephone."
    )
    status: str = Field(max_length=LONGEST_TEXT, description="The ERP's word.")
    changed_at: AwareDatetime = Field(description="When it was last changed in the ERP.")


class OrderUpdates(BaseModel):
    """What the ERP says has changed of orders: `order` is one, `orders` are several."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": CHANGED,
                    "order": {
                        "id": "o-000001",
                        "reference": "order_1",
                        "status": "shipped",
                        "changed_at": "2026-03-01T12:00:00Z",
                    },
                }
            ]
        }
    )

    type: str = Field(json_schema_extra={"const": CHANGED})
    order: OrderUpdate | None = None
    orders: list[OrderUpdate] | None = Field(None, min_length=1, max_length=MOST_ORDERS)


class _Sender(NamedTuple):
    """Who sends, what about, with which keys, and how its bodies are read."""

    name: str
    topic: str
    keys: list[bytes]
    as_parts: Callable[[bytes], list[Part]]


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


def _described(shape: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
    return {"parameters": _HEADERS, "requestBody": {"required": True, "content": content}}


_PROBLEMS = documented(400, 401, 404, 408, 409, 413, 415, 422, 503)


@router.post(
    "/webhooks/erp",
    status_code=202,
    responses=_PROBLEMS,
    openapi_extra=_described(PriceBookChange.__name__),
)
async def take_erp_webhook(request: Request, response: Response, resources: Opened) -> Accepted:
    """Takes a signed change message of the ERP; 202 says that it is stored.

    It says where to look: the prices themselves are fetched from the ERP.
    """
    keys = resources.callers.erp_keys
    sender = _Sender(ERP, price_changes.TOPIC, keys, lambda raw: [price_changes.part(raw)])
    return await _take(request, response, resources, sender)


@router.post(
    "/erp/order-updates",
    status_code=202,
    responses=_PROBLEMS,
    openapi_extra=_described(OrderUpdates.__name__),
)
async def take_order_updates(request: Request, response: Response, resources: Opened) -> Accepted:
    """Takes signed updates of orders from the ERP; 202 says that they are stored.

    The newest by `changed_at` counts, however they come. One that nobody here understands, or
    about an order that nobody here knows, is kept for a person.
    """
    keys = resources.callers.erp_keys
    sender = _Sender(ERP, order_status_import.TOPIC, keys, order_status_import.parts)
    return await _take(request, response, resources, sender)


@router.post(
    "/webhooks/{source}",
    status_code=202,
    responses=_PROBLEMS,
    openapi_extra=_described("ProductList"),
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
    keys = resources.callers.keys
    sender = _Sender(source, TOPICS[source], keys, lambda raw: [intake.whole(raw)])
    accepted = await _take(request, response, resources, sender)
    resources.launcher.wake()
    return accepted


async def _take(
    request: Request, response: Response, resources: Resources, sender: _Sender
) -> Accepted:
    """Verifies, stores and acknowledges a delivery."""
    delivery = resources.callers.signed(request, sender.keys)
    raw, _ = await read_body(request, LIMITS, delivery.feed)
    delivery.verify()

    def store(connection: Connection) -> Receipt:
        resources.door.admit(connection, sender.name, delivery.id)
        return receive(connection, sender.name, delivery.id, sender.topic, sender.as_parts(raw))

    receipt = await resources.transact(store)
    if receipt.differs:
        raise Conflict(f"Delivery {delivery.id} was here before with another body, which counts.")
    accepted = Accepted.of(receipt.message_ids[0])
    response.headers["Location"] = accepted.location
    return accepted
