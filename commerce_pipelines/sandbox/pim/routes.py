"""The PIM's HTTP interface, `/pim`.

Belongs here: looking at products, changing them, having them sent. Does not
belong here: signing and retrying (`sandbox/deliveries.py`).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from commerce_pipelines.sandbox.deliveries import deliver, new_delivery_id
from commerce_pipelines.sandbox.pim.catalogue import Catalogue, Product
from commerce_pipelines.sandbox.record import Record

SYSTEM = "pim"


class SendRequest(BaseModel):
    """What to send where; without products, ids or count it is the whole catalogue."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="Address that takes the webhooks.")
    products: list[dict[str, Any]] | None = Field(None, description="These, whatever they are.")
    ids: list[str] | None = Field(None, description="Products by external id.")
    count: int | None = Field(None, ge=1, description="So many, from the first.")
    batch_size: int = Field(100, ge=1, description="Products a delivery.")
    delivery_id: str | None = Field(None, description="Id of the delivery, to repeat one.")
    copies: int = Field(1, ge=1, description="How often each delivery is sent, with one id.")
    attempts: int = Field(3, ge=1, le=10, description="How often a delivery is tried.")


def pim_router(catalogue: Catalogue, webhook_secret: str, record: Record) -> APIRouter:
    """Returns the routes.

    Args:
        catalogue: The products.
        webhook_secret: Signs what is sent, `whsec_…`.
        record: Where changes and deliveries are noted.
    """
    router = APIRouter(prefix=f"/{SYSTEM}", tags=[SYSTEM])

    @router.get("/products")
    async def products() -> dict[str, list[Product]]:
        """Lists all products."""
        return {"products": catalogue.all()}

    @router.get("/products/{external_id}")
    async def product(external_id: str) -> Product:
        """Gives one product."""
        return _found(catalogue.get(external_id), external_id)

    @router.patch("/products/{external_id}")
    async def change(external_id: str, changes: Product) -> Product:
        """Replaces some of a product's attributes; null removes one."""
        changed = _found(catalogue.change(external_id, changes), external_id)
        record.effect(SYSTEM, "change", 1, external_id=external_id)
        return changed

    @router.post("/send")
    def send(request: SendRequest) -> dict[str, list[dict[str, Any]]]:
        """Sends products as signed webhooks and tells what came of each delivery."""
        chosen = _chosen(request, catalogue)
        outcomes: list[dict[str, Any]] = []
        for start in range(0, max(len(chosen), 1), request.batch_size):
            batch = chosen[start : start + request.batch_size]
            delivery_id = _delivery_id(request, start)
            for _ in range(request.copies):
                outcome = deliver(
                    request.url,
                    {"products": batch},
                    secret=webhook_secret,
                    delivery_id=delivery_id,
                    attempts=request.attempts,
                )
                record.effect(
                    SYSTEM, "delivery", len(batch), id=delivery_id, status=outcome["status"]
                )
                outcomes.append(outcome | {"products": len(batch)})
        return {"deliveries": outcomes}

    return router


def _found(product: Product | None, external_id: str) -> Product:
    if product is None:
        raise HTTPException(404, f"There is no product {external_id}")
    return product


def _chosen(request: SendRequest, catalogue: Catalogue) -> list[Product]:
    if request.products is not None:
        return request.products
    if request.ids is not None:
        return [_found(catalogue.get(each), each) for each in request.ids]
    return catalogue.all()[: request.count]


def _delivery_id(request: SendRequest, start: int) -> str:
    if request.delivery_id is None:
        return new_delivery_id()
    return request.delivery_id if start == 0 else f"{request.delivery_id}-{start}"
