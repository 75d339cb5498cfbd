"""Carts: who knows a cart's id may see and change it; none can be guessed.

Belongs here: the routes. Does not belong here: what they do (`services.cart`,
`services.checkout`), and answering each key once (`settling.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from commerce_pipelines.domain.cart import Cart, CartChanges, LineChange, NewCart, NewLine
from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.stored_orders import StoredOrder
from commerce_pipelines.endpoint.problems import ProblemError, declined, documented
from commerce_pipelines.endpoint.resources import Opened, Resources
from commerce_pipelines.endpoint.settling import (
    Settling,
    answered,
    only_one,
    problem,
    shown,
)
from commerce_pipelines.endpoint.wishes import (
    KEY_PARAMETER,
    Nothing,
    Wish,
    described,
    read_wish,
)
from commerce_pipelines.services import cart as service
from commerce_pipelines.services.checkout import PricesChanged, complete
from commerce_pipelines.services.enquiries import Inquired, Open
from commerce_pipelines.store.carts import StoredCart, load_cart
from commerce_pipelines.store.idempotency import Answer

CARTS = "/store/carts"

router = APIRouter(tags=["store"])

Id = Annotated[str, Path(max_length=255, pattern=r"^[\x20-\x7e]*$")]
Work = Callable[[Connection, Inquired, StoredCart], Answer | Open]

_ADDRESS = {
    "first_name": "Anna",
    "last_name": "Muster",
    "address_1": "High Street 1",
    "postal_code": "10115",
    "city": "Berlin",
    "country_code": "DE",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The cart's ETag: 412 if somebody has changed it since.",
}
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The cart's version."}}
_OF_CART = documented(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 502, 503)


class Added(BaseModel):
    """The pieces are in the cart."""

    success: Literal[True] = True
    cart: Cart


@router.post(
    CARTS,
    status_code=201,
    response_model=Cart,
    responses=documented(400, 401, 403, 408, 409, 413, 415, 422, 503),
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        **described(NewCart, cart={"currency_code": "EUR", "email": "anna@example.com"}),
    },
)
async def create(request: Request, resources: Opened) -> Response:
    """Creates an empty cart; its currency stays.

    Signed as a webhook, unless the endpoint takes unsigned requests from this machine.
    """
    wish = await read_wish(request, resources, NewCart)

    def work(connection: Connection, inquired: Inquired, locked: None) -> Answer:
        cart = service.create_cart(connection, wish.value)
        return _cart(cart, 201, {"location": f"{CARTS}/{cart.id}"})

    return await answered(resources, Settling(request, wish.keyed, only_one(wish.keyed), work))


@router.get(CARTS + "/{cart_id}", response_model=Cart, responses=documented(404, 422, 503))
async def show(cart_id: Id, resources: Opened) -> Response:
    """Shows a cart, with the prices at which its lines were added or last changed."""
    stored = await resources.transact(lambda store: load_cart(store, cart_id))
    if stored is None:
        raise service.no_cart(cart_id)
    answer = _cart(stored.shown())
    return Response(answer.body, answer.status, dict(answer.headers))


@router.patch(
    CARTS + "/{cart_id}",
    response_model=Cart,
    responses=_OF_CART,
    openapi_extra={
        "parameters": [_IF_MATCH],
        **described(
            CartChanges,
            addresses={"shipping_address": _ADDRESS, "billing_address": _ADDRESS},
            email={"email": "anna@example.com"},
        ),
    },
)
async def change(cart_id: Id, request: Request, resources: Opened) -> Response:
    """Changes e-mail, addresses or customer; what is absent stays, `null` clears.

    For another customer every line is priced and checked anew.
    """
    wish = await read_wish(request, resources, CartChanges)

    def work(connection: Connection, inquired: Inquired, cart: StoredCart) -> Answer | Open:
        return _shown(service.change_cart(connection, inquired, cart, wish.value))

    return await _settle(request, resources, cart_id, wish, work)


@router.post(
    "/store/cart/{cart_id}/custom-line-items",
    response_model=Added,
    responses=_OF_CART,
    openapi_extra={"parameters": [KEY_PARAMETER, _IF_MATCH], **described(NewLine)},
)
@router.post(
    CARTS + "/{cart_id}/custom-line-items",
    response_model=Added,
    responses=_OF_CART,
    openapi_extra={"parameters": [KEY_PARAMETER, _IF_MATCH], **described(NewLine)},
)
async def add_line(cart_id: Id, request: Request, resources: Opened) -> Response:
    """Adds pieces of a variant, at the ERP's price; a variant that is there gets more.

    Checked in this order: the variant exists (404 `variant_not_found`), the customer's company
    may buy it (403 `company_may_not_buy`), enough is left or the ERP sells beyond that (409
    `out_of_stock`), there is a price in the cart's currency (409 `no_price`).
    """
    scope = f"POST {CARTS}/{cart_id}/custom-line-items"
    wish = await read_wish(request, resources, NewLine, scope)

    def work(connection: Connection, inquired: Inquired, cart: StoredCart) -> Answer | Open:
        changed = service.add_line(connection, inquired, cart, wish.value)
        if isinstance(changed, Open):
            return changed
        return shown(Added.model_construct(success=True, cart=changed), 200, _tag(changed))

    return await _settle(request, resources, cart_id, wish, work, variant_id=wish.value.variant_id)


@router.patch(
    CARTS + "/{cart_id}/line-items/{line_id}",
    response_model=Cart,
    responses=_OF_CART,
    openapi_extra={
        "parameters": [_IF_MATCH],
        **described(LineChange, quantity={"quantity": 3}),
    },
)
async def change_line(cart_id: Id, line_id: Id, request: Request, resources: Opened) -> Response:
    """Gives a line another quantity, with all checks for it, at the price of its tier."""
    wish = await read_wish(request, resources, LineChange)

    def work(connection: Connection, inquired: Inquired, cart: StoredCart) -> Answer | Open:
        return _shown(service.change_line(connection, inquired, cart, line_id, wish.value))

    return await _settle(request, resources, cart_id, wish, work)


@router.delete(
    CARTS + "/{cart_id}/line-items/{line_id}",
    response_model=Cart,
    responses=_OF_CART,
    openapi_extra={"parameters": [_IF_MATCH]},
)
async def remove_line(cart_id: Id, line_id: Id, request: Request, resources: Opened) -> Response:
    """Takes a line out of the cart."""
    wish = await read_wish(request, resources, Nothing)

    def work(connection: Connection, inquired: Inquired, cart: StoredCart) -> Answer | Open:
        return _shown(service.remove_line(connection, cart, line_id))

    return await _settle(request, resources, cart_id, wish, work)


@router.post(
    CARTS + "/{cart_id}/complete",
    status_code=201,
    response_model=StoredOrder,
    responses={
        200: {"model": StoredOrder, "description": "It was completed before: that order."},
        **_OF_CART,
    },
    openapi_extra={"parameters": [KEY_PARAMETER, _IF_MATCH]},
)
async def complete_cart(cart_id: Id, request: Request, resources: Opened) -> Response:
    """Makes the cart an order, after everything was checked against the ERP once more.

    409 `price_changed` names the old and the new prices, and the cart holds the new ones from
    then on: completing it again, under another key, is consent. 503 says that the ERP does not
    answer; the cart is kept.
    """
    wish = await read_wish(request, resources, Nothing)
    resources.door.check_open()

    def work(connection: Connection, inquired: Inquired, cart: StoredCart) -> Answer | Open:
        done = complete(connection, inquired, cart, resources.reservation_minutes)
        if isinstance(done, Open):
            return done
        if isinstance(done, PricesChanged):
            return problem(request, _changed(done))
        location = {"location": f"/store/orders/{done.order.id}"}
        return shown(done.order, 201 if done.is_new else 200, location)

    return await _settle(request, resources, cart_id, wish, work)


async def _settle(
    request: Request,
    resources: Resources,
    cart_id: str,
    wish: Wish[Any],
    work: Work,
    *,
    variant_id: str | None = None,
) -> Response:
    """Does something with a cart that nobody else changes meanwhile."""
    expected = request.headers.get("if-match", "*")

    def checked(connection: Connection, inquired: Inquired, cart: StoredCart) -> Answer | Open:
        if expected not in {"*", _etag(cart.facts["version"])}:
            raise ProblemError(412, "The cart has changed meanwhile; read it again.")
        return work(connection, inquired, cart)

    def lock(connection: Connection) -> tuple[StoredCart, Answer | None]:
        return service.held(connection, cart_id, wish.keyed, variant_id)

    return await answered(resources, Settling(request, wish.keyed, lock, checked))


def _shown(outcome: Cart | Open) -> Answer | Open:
    return outcome if isinstance(outcome, Open) else _cart(outcome)


def _cart(cart: Cart, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return shown(cart, status, {**_tag(cart), **(headers or {})})


def _tag(cart: Cart) -> dict[str, str]:
    return {"etag": _etag(cart.version)}


def _etag(version: int) -> str:
    return f'"{version}"'


def _changed(done: PricesChanged) -> ProblemError:
    currency = done.cart.currency_code
    changes = [change.as_json(currency) for change in done.changes]
    told = ", ".join(
        f"{each['old_unit_price']} is now {each['new_unit_price']}" for each in changes
    )
    return declined(
        Code.PRICE_CHANGED,
        f"Prices have changed ({told} {currency}); the cart holds the new ones.",
        {
            "changes": changes,
            "cart_version": done.cart.version,
            "total_minor": done.cart.total_minor,
        },
    )
