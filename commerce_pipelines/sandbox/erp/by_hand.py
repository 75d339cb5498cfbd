"""What people in the ERP do, for tests and demonstrations to do by HTTP, `/faults/erp`.

Belongs here: changes that do not come through the contract, and webhooks about them.
Does not belong here: the contract (`routes`, `order_routes`). Values that people set
are taken as they are, also where they are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from commerce_pipelines.sandbox.deliveries import deliver, new_delivery_id
from commerce_pipelines.sandbox.erp.order_routes import shown
from commerce_pipelines.sandbox.erp.system import SYSTEM, ErpSystem
from commerce_pipelines.sandbox.record import Record


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProductByHand(_Asked):
    """What of a product is to be another; one that is not there is made."""

    title: str | None = None
    description: str | None = None
    active: bool | None = None
    variants: list[dict[str, Any]] | None = Field(
        None, description="As in the contract; here also with an id of one's own choice."
    )
    commit_after_seconds: float = Field(
        0.0, ge=0, description="Has its moment now and is seen so much later."
    )


class PriceByHand(_Asked):
    """A price, whatever it is."""

    variant: str
    currency_code: str
    customer_group: str = ""
    tiers: Any = Field(None, description="Null: cannot be bought.")


class StockByHand(_Asked):
    """A stock level, whatever it is."""

    variant: str
    available: Any
    allows_out_of_stock: Any = False


class CompanyByHand(_Asked):
    """A company."""

    name: str
    customer_group: str = ""
    forbidden: list[str] = Field([], description="Variants that it may not buy.")


class OrderByHand(BaseModel):
    """An order by telephone, or one that is as if the contract had made it."""

    model_config = ConfigDict(extra="allow")

    reference: str | None = None
    status: str = "draft"
    currency_code: str = "EUR"
    total: Any
    placed_at: AwareDatetime
    lines: list[dict[str, Any]] = []


class StatusByHand(_Asked):
    """How far an order is."""

    status: str
    commit_after_seconds: float = Field(0.0, ge=0)


class Size(_Asked):
    """How much to make."""

    products: int = Field(ge=0)
    variants: int = Field(1, ge=1)


class SendRequest(_Asked):
    """What to tell whom, signed."""

    url: str = Field(description="Address that takes the webhooks.")
    orders: list[str] = Field([], description="A delivery for each of these orders.")
    message: dict[str, Any] | None = Field(None, description="Another delivery, with this body.")
    delivery_id: str | None = Field(None, description="Id of the delivery, to repeat one.")
    copies: int = Field(1, ge=1, description="How often each delivery is sent, with one id.")
    attempts: int = Field(3, ge=1, le=10, description="How often a delivery is tried.")


class ByHandRoutes:
    """The routes.

    Args:
        system: What there is.
        webhook_secret: Signs what is sent, `whsec_…`.
        record: Where deliveries are noted.
    """

    def __init__(self, system: ErpSystem, webhook_secret: str, record: Record) -> None:
        self._system = system
        self._webhook_secret = webhook_secret
        self._record = record

    def router(self, prefix: str) -> APIRouter:
        """Returns the routes below a path."""
        router = APIRouter(prefix=prefix, tags=["faults"])
        add = router.add_api_route
        add("/products/{product_id}", self.product, methods=["PUT"])
        add("/products/{product_id}", self.delete, methods=["DELETE"])
        add("/prices", self.prices, methods=["POST"])
        add("/stock", self.stock, methods=["POST"])
        add("/companies", self.companies, methods=["POST"])
        add("/orders", self.orders, methods=["GET"])
        add("/orders", self.place, methods=["POST"])
        add("/orders/{order_id}/status", self.advance, methods=["PUT"])
        add("/generate", self.generate, methods=["POST"])
        add("/send", self.send, methods=["POST"])
        return router

    async def product(self, product_id: str, changes: ProductByHand) -> dict[str, str]:
        """Changes a product, or makes one."""
        fields = changes.model_dump(exclude_unset=True)
        after_seconds = fields.pop("commit_after_seconds", 0.0)
        self._system.products.change_by_hand(product_id, fields, after_seconds)
        return {"id": product_id}

    async def delete(self, product_id: str) -> dict[str, str]:
        """Deletes a product."""
        self._system.products.delete(product_id)
        return {"id": product_id}

    async def prices(self, wanted: list[PriceByHand]) -> dict[str, int]:
        """Sets prices."""
        for each in wanted:
            self._system.terms.set_price(
                each.variant, each.currency_code, each.customer_group, each.tiers
            )
        return {"prices": len(wanted)}

    async def stock(self, wanted: list[StockByHand]) -> dict[str, int]:
        """Sets stock levels."""
        for each in wanted:
            level = {"available": each.available, "allows_out_of_stock": each.allows_out_of_stock}
            self._system.terms.set_stock(each.variant, level)
        return {"stock": len(wanted)}

    async def companies(self, wanted: list[CompanyByHand]) -> dict[str, int]:
        """Sets companies with the variants that they may not buy."""
        for each in wanted:
            self._system.terms.set_company(each.model_dump())
        return {"companies": len(wanted)}

    async def orders(self, reference: str) -> list[dict[str, Any]]:
        """Gives the orders under a reference with all that was sent."""
        return self._system.orders.under(reference)

    async def place(self, wanted: list[OrderByHand]) -> list[str]:
        """Takes orders; returns their ids."""
        made = self._system.orders.add([each.model_dump() for each in wanted])
        return [order["id"] for order in made]

    async def advance(self, order_id: str, wanted: StatusByHand) -> dict[str, Any]:
        """Gives an order another status."""
        after_seconds = wanted.commit_after_seconds
        return shown(self._system.orders.advance(order_id, wanted.status, after_seconds))

    async def generate(self, size: Size) -> dict[str, int]:
        """Has so many made products instead of its own; a reset brings those back."""
        self._system.generate(size.model_dump())
        return {"products": size.products}

    def send(self, request: SendRequest) -> dict[str, list[dict[str, Any]]]:
        """Sends signed webhooks and tells what came of each delivery."""
        outcomes: list[dict[str, Any]] = []
        for position, message in enumerate(self._messages(request)):
            delivery_id = request.delivery_id or new_delivery_id()
            delivery_id += f"-{position}" if request.delivery_id and position else ""
            outcomes += self._deliver(request, message, delivery_id)
        return {"deliveries": outcomes}

    def _messages(self, request: SendRequest) -> list[dict[str, Any]]:
        orders = [self._system.orders.get(each) for each in request.orders]
        updates = [{"type": "order.updated", "order": shown(order)} for order in orders]
        return updates + ([] if request.message is None else [request.message])

    def _deliver(
        self, request: SendRequest, message: dict[str, Any], delivery_id: str
    ) -> Iterator[dict[str, Any]]:
        for _ in range(request.copies):
            outcome = deliver(
                request.url,
                message,
                secret=self._webhook_secret,
                delivery_id=delivery_id,
                attempts=request.attempts,
            )
            self._record.effect(SYSTEM, "delivery", 1, id=delivery_id, status=outcome["status"])
            yield outcome
