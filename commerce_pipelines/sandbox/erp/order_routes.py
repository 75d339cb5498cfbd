"""The reference contract's routes for orders, `/erp/orders`.

Belongs here: what these routes read and answer. Does not belong here: what an order
may become (`orders`). Every route runs on the event loop without awaiting between
reading and writing: that makes a request atomic.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from commerce_pipelines.sandbox.erp.order_shapes import NewOrder, OrderFilter, OrderModel, OrderPage
from commerce_pipelines.sandbox.erp.orders import Order
from commerce_pipelines.sandbox.erp.routes import refused, shifts
from commerce_pipelines.sandbox.erp.system import SYSTEM, ErpSystem
from commerce_pipelines.sandbox.erp.timeline import Page
from commerce_pipelines.sandbox.faults import Faults
from commerce_pipelines.sandbox.moments import moment_text
from commerce_pipelines.sandbox.record import Record

_ONE = "/orders/{order_id}"
_LINE = ("variant", "quantity", "unit_price")
_GONE: dict[int | str, dict[str, Any]] = {404: refused("There is no such order.")}
_NOT_MADE: dict[int | str, dict[str, Any]] = {
    409: refused("There is another order under the reference; order_differs."),
    422: refused("It is not taken in this form; none was made."),
}
_NOT_CONFIRMED: dict[int | str, dict[str, Any]] = {
    **_GONE,
    409: refused("It is cancelled; order_cancelled."),
}
_NOT_CANCELLED: dict[int | str, dict[str, Any]] = {
    **_GONE,
    409: refused("It is worked on already; order_too_far."),
}

OrderId = Annotated[str, Path(description="The order's id.")]


class OrderRoutes:
    """The routes.

    Args:
        system: What there is.
        faults: For faults that only this system shows.
        record: Where effects are noted.
    """

    def __init__(self, system: ErpSystem, faults: Faults, record: Record) -> None:
        self._system = system
        self._faults = faults
        self._record = record

    def add_to(self, router: APIRouter) -> None:
        """Adds the routes."""
        add = router.add_api_route
        one: dict[str, Any] = {"response_model": OrderModel}
        known: dict[int | str, dict[str, Any]] = {
            200: {"model": OrderModel, "description": "The order that was there already."},
            **_NOT_MADE,
        }
        add("/orders", self.create, methods=["POST"], status_code=201, responses=known, **one)
        add("/orders", self.listed, methods=["GET"], response_model=OrderPage)
        add(_ONE, self.one, methods=["GET"], responses=_GONE, **one)
        add(f"{_ONE}/confirm", self.confirm, methods=["POST"], responses=_NOT_CONFIRMED, **one)
        add(f"{_ONE}/cancel", self.cancel, methods=["POST"], responses=_NOT_CANCELLED, **one)

    async def create(self, body: NewOrder) -> Response:
        """Makes a draft, unless there is one under the reference that is not cancelled."""
        order, new = self._system.orders.create(body.model_dump())
        if new:
            self._note("order.create", order)
        return JSONResponse(shown(order), 201 if new else 200)

    async def listed(self, request: Request, wanted: Annotated[OrderFilter, Query()]) -> Response:
        """Lists orders."""
        as_of = self._system.commits.as_of()
        page = self._page(wanted, shifting=shifts(self._faults, request))
        rows = [shown(self._system.orders.get(order_id)) for order_id in page.ids]
        return JSONResponse({"orders": rows, "next_cursor": page.next_cursor, "as_of": as_of})

    def _page(self, wanted: OrderFilter, *, shifting: bool) -> Page:
        orders = self._system.orders
        if wanted.reference is not None:
            return Page([each["id"] for each in orders.under(wanted.reference)], None)
        by_place = wanted.placed_from is not None or wanted.placed_until is not None
        timeline = orders.placed if by_place else orders.changed
        since = wanted.placed_from if by_place else wanted.changed_since
        return timeline.page(
            "" if since is None else moment_text(since),
            None if wanted.placed_until is None else moment_text(wanted.placed_until),
            wanted.cursor,
            wanted.limit,
            shifting=shifting,
        )

    async def one(self, order_id: OrderId) -> Response:
        """Gives one order."""
        return JSONResponse(shown(self._system.orders.get(order_id)))

    async def confirm(self, order_id: OrderId) -> Response:
        """Confirms a draft; one that is further stays as it is."""
        order, now = self._system.orders.confirm(order_id)
        if now:
            self._note("order.confirm", order)
        return JSONResponse(shown(order))

    async def cancel(self, order_id: OrderId) -> Response:
        """Cancels an order that nobody works on; a cancelled one stays as it is."""
        order, now = self._system.orders.cancel(order_id)
        if now:
            self._note("order.cancel", order)
        return JSONResponse(shown(order))

    def _note(self, kind: str, order: Order) -> None:
        self._record.effect(SYSTEM, kind, 1, order_id=order["id"], reference=order["reference"])


def shown(order: Order) -> Order:
    """Returns an order as callers see it."""
    fields = {name: order[name] for name in OrderModel.model_fields}
    lines = [{name: line[name] for name in _LINE} for line in order["lines"]]
    return {**fields, "lines": lines}
