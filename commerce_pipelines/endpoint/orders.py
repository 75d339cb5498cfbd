"""Orders: who knows an order's id may see it; none can be guessed.

Belongs here: reading. Does not belong here: placing an order (`carts.py`), and what the
ERP says of it (`webhooks.py`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from commerce_pipelines.domain.stored_orders import StoredOrder
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened
from commerce_pipelines.errors import NotFound
from commerce_pipelines.store.orders import show_order

router = APIRouter(tags=["store"])

Id = Annotated[str, Path(max_length=255, pattern=r"^[\x20-\x7e]*$")]


@router.get("/store/orders/{order_id}", responses=documented(404, 422, 503))
async def show(order_id: Id, resources: Opened) -> StoredOrder:
    """Shows an order with its status, its id in the ERP, and how it stands with the ERP."""
    order = await resources.transact(lambda connection: show_order(connection, order_id))
    if order is None:
        raise NotFound(f"There is no order {order_id}.")
    return order
