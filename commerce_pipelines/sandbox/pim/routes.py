"""The PIM's HTTP interface, `/pim`.

Belongs here: looking at products, changing them, having them sent. Does not
belong here: signing and retrying (`sandbox/deliveries.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from commerce_pipelines.sandbox.deliveries import deliver, new_delivery_id
from commerce_pipelines.sandbox.pim.catalogue import Catalogue, Product
from commerce_pipelines.sandbox.record import Record

SYSTEM = "pim"
_ONE = "/products/{external_id}"


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


class PimRoutes:
    """The routes over one catalogue.

    Args:
        catalogue: The products.
        webhook_secret: Signs what is sent, `whsec_…`.
        record: Where changes and deliveries are noted.
    """

    def __init__(self, catalogue: Catalogue, webhook_secret: str, record: Record) -> None:
        self._catalogue = catalogue
        self._webhook_secret = webhook_secret
        self._record = record

    def router(self) -> APIRouter:
        """Returns the routes."""
        router = APIRouter(prefix=f"/{SYSTEM}", tags=[SYSTEM])
        router.add_api_route("/products", self.products, methods=["GET"])
        router.add_api_route(_ONE, self.product, methods=["GET"])
        router.add_api_route(_ONE, self.change, methods=["PATCH"])
        router.add_api_route("/send", self.send, methods=["POST"])
        return router

    async def products(self) -> dict[str, list[Product]]:
        """Lists all products."""
        return {"products": self._catalogue.all()}

    async def product(self, external_id: str) -> Product:
        """Gives one product."""
        return _found(self._catalogue.get(external_id), external_id)

    async def change(self, external_id: str, changes: Product) -> Product:
        """Replaces some of a product's attributes; null removes one."""
        changed = _found(self._catalogue.change(external_id, changes), external_id)
        self._record.effect(SYSTEM, "change", 1, external_id=external_id)
        return changed

    def send(self, request: SendRequest) -> dict[str, list[dict[str, Any]]]:
        """Sends products as signed webhooks and tells what came of each delivery."""
        chosen = _chosen(request, self._catalogue)
        outcomes: list[dict[str, Any]] = []
        for start in range(0, max(len(chosen), 1), request.batch_size):
            batch = chosen[start : start + request.batch_size]
            outcomes += self._deliver(request, batch, _delivery_id(request, start))
        return {"deliveries": outcomes}

    def _deliver(
        self, request: SendRequest, batch: list[Product], delivery_id: str
    ) -> Iterator[dict[str, Any]]:
        for _ in range(request.copies):
            outcome = deliver(
                request.url,
                {"products": batch},
                secret=self._webhook_secret,
                delivery_id=delivery_id,
                attempts=request.attempts,
            )
            count, status = len(batch), outcome["status"]
            self._record.effect(SYSTEM, "delivery", count, id=delivery_id, status=status)
            yield outcome | {"products": count}


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
