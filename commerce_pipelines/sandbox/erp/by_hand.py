"""What people in the ERP do, for tests and demonstrations to do by HTTP, `/faults/erp`.

Belongs here: changes that do not come through the contract, and webhooks about them.
Does not belong here: the contract (`routes`, `order_routes`). Values that people set
are taken as they are, also where they are none.
"""

from __future__ import annotations

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


def by_hand_router(
    system: ErpSystem, prefix: str, webhook_secret: str, record: Record
) -> APIRouter:
    """Returns the routes.

    Args:
        system: What there is.
        prefix: Where they are.
        webhook_secret: Signs what is sent, `whsec_…`.
        record: Where deliveries are noted.
    """
    router = APIRouter(prefix=prefix, tags=["faults"])
    _add_goods(router, system)
    _add_orders(router, system)

    @router.post("/generate")
    async def generate(size: Size) -> dict[str, int]:
        """Has so many made products instead of its own; a reset brings those back."""
        system.generate(size.model_dump())
        return {"products": size.products}

    @router.post("/send")
    def send(request: SendRequest) -> dict[str, list[dict[str, Any]]]:
        """Sends signed webhooks and tells what came of each delivery."""
        updates = [
            {"type": "order.updated", "order": shown(_order(each))} for each in request.orders
        ]
        messages = updates + ([] if request.message is None else [request.message])
        outcomes = []
        for position, message in enumerate(messages):
            delivery_id = request.delivery_id or new_delivery_id()
            delivery_id += f"-{position}" if request.delivery_id and position else ""
            for _ in range(request.copies):
                outcome = deliver(
                    request.url,
                    message,
                    secret=webhook_secret,
                    delivery_id=delivery_id,
                    attempts=request.attempts,
                )
                record.effect(SYSTEM, "delivery", 1, id=delivery_id, status=outcome["status"])
                outcomes.append(outcome)
        return {"deliveries": outcomes}

    def _order(order_id: str) -> dict[str, Any]:
        return system.orders.get(order_id)

    return router


def _add_goods(router: APIRouter, system: ErpSystem) -> None:
    @router.put("/products/{product_id}")
    async def product(product_id: str, changes: ProductByHand) -> dict[str, str]:
        """Changes a product, or makes one."""
        fields = changes.model_dump(exclude_unset=True)
        after_seconds = fields.pop("commit_after_seconds", 0.0)
        system.products.change_by_hand(product_id, fields, after_seconds)
        return {"id": product_id}

    @router.delete("/products/{product_id}")
    async def delete(product_id: str) -> dict[str, str]:
        """Deletes a product."""
        system.products.delete(product_id)
        return {"id": product_id}

    @router.post("/prices")
    async def prices(wanted: list[PriceByHand]) -> dict[str, int]:
        """Sets prices."""
        for each in wanted:
            system.terms.set_price(
                each.variant, each.currency_code, each.customer_group, each.tiers
            )
        return {"prices": len(wanted)}

    @router.post("/stock")
    async def stock(wanted: list[StockByHand]) -> dict[str, int]:
        """Sets stock levels."""
        for each in wanted:
            level = {"available": each.available, "allows_out_of_stock": each.allows_out_of_stock}
            system.terms.set_stock(each.variant, level)
        return {"stock": len(wanted)}

    @router.post("/companies")
    async def companies(wanted: list[CompanyByHand]) -> dict[str, int]:
        """Sets companies with the variants that they may not buy."""
        for each in wanted:
            system.terms.set_company(each.model_dump())
        return {"companies": len(wanted)}


def _add_orders(router: APIRouter, system: ErpSystem) -> None:
    @router.get("/orders")
    async def orders(reference: str) -> list[dict[str, Any]]:
        """Gives the orders under a reference with all that was sent."""
        return system.orders.under(reference)

    @router.post("/orders")
    async def place(wanted: list[OrderByHand]) -> list[str]:
        """Takes orders; returns their ids."""
        made = system.orders.add([each.model_dump() for each in wanted])
        return [order["id"] for order in made]

    @router.put("/orders/{order_id}/status")
    async def advance(order_id: str, wanted: StatusByHand) -> dict[str, Any]:
        """Gives an order another status."""
        after_seconds = wanted.commit_after_seconds
        return shown(system.orders.advance(order_id, wanted.status, after_seconds))
