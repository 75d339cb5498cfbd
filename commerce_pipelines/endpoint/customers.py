"""Customers: created and shown. Who knows an id may see what is under it; none can be guessed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import Connection

from commerce_pipelines.domain.cart import Customer, NewCustomer
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened
from commerce_pipelines.endpoint.settling import Settling, answered, only_one, shown
from commerce_pipelines.endpoint.wishes import KEY_PARAMETER, described, read_wish
from commerce_pipelines.errors import NotFound
from commerce_pipelines.services.enquiries import Inquired
from commerce_pipelines.store.customers import create_customer, load_customer
from commerce_pipelines.store.idempotency import Answer

router = APIRouter(prefix="/store/customers", tags=["store"])


@router.post(
    "",
    status_code=201,
    response_model=Customer,
    responses=documented(400, 401, 403, 408, 409, 413, 415, 422, 503),
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        **described(
            NewCustomer,
            company={"email": "anna@example.com", "company_name": "Acme Ltd"},
            person={"email": "anna@example.com"},
        ),
    },
)
async def create(request: Request, resources: Opened) -> Response:
    """Creates a customer; the company decides prices and purchase rules.

    Signed as a webhook, unless the endpoint takes unsigned requests from this machine.
    """
    wish = await read_wish(request, resources, NewCustomer)

    def work(connection: Connection, inquired: Inquired, locked: None) -> Answer:
        customer = create_customer(connection, wish.value)
        return shown(customer, 201, {"location": f"{router.prefix}/{customer.id}"})

    return await answered(resources, Settling(request, wish.keyed, only_one(wish.keyed), work))


@router.get("/{customer_id}", responses=documented(404, 422, 503))
async def show(
    customer_id: Annotated[str, Path(max_length=255, pattern=r"^[\x20-\x7e]*$")], resources: Opened
) -> Customer:
    """Shows one customer."""
    customer = await resources.transact(lambda store: load_customer(store, customer_id))
    if customer is None:
        raise NotFound(f"There is no customer {customer_id}.")
    return customer
