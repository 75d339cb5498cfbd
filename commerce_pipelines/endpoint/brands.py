"""The store's brands: read by anybody, changed by the store's people.

Belongs here: the four routes. Does not belong here: bringing a change to the
brand system, for which each one writes a message in its own commit.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from commerce_pipelines.domain.brands import BrandChanges, StoredBrand, WantedBrand
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened
from commerce_pipelines.endpoint.settling import Settling, answered, only_one, shown
from commerce_pipelines.endpoint.wishes import KEY_PARAMETER, described, read_wish
from commerce_pipelines.errors import NotFound
from commerce_pipelines.services.brand_push import change_brand, create_brand
from commerce_pipelines.services.enquiries import Inquired
from commerce_pipelines.store.brands import list_brands, load_brand
from commerce_pipelines.store.idempotency import Answer

MOST_BRANDS = 500

# Ids hold nothing else, and the store takes no NUL.
_ID_PATTERN = r"^[\x20-\x7e]*$"

router = APIRouter(prefix="/store/brands", tags=["store"])

Id = Annotated[str, Path(max_length=255, pattern=_ID_PATTERN)]


class BrandPage(BaseModel):
    """Some of the brands."""

    brands: list[StoredBrand]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "The brand."}}


@router.post(
    "",
    status_code=201,
    response_model=StoredBrand,
    responses={
        201: {"description": "The brand was created.", "headers": _LOCATION},
        200: {
            "model": StoredBrand,
            "description": "A brand of that name was there, and says now what was asked for.",
            "headers": _LOCATION,
        },
        **documented(400, 401, 403, 408, 409, 413, 415, 422, 503),
    },
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        **described(
            WantedBrand,
            brand={
                "name": "Acme",
                "description": "Anvils",
                "logo_url": "https://example.com/a.svg",
            },
            name_only={"name": "Acme"},
        ),
    },
)
async def create(request: Request, resources: Opened) -> Response:
    """Creates a brand, or changes the one of that name, and has it brought to the brand system.

    What is absent of a brand that is there stays as it is; `null` clears it. Signed as a webhook,
    unless the endpoint takes unsigned requests from this machine.
    """
    wish = await read_wish(request, resources, WantedBrand)
    resources.door.check_open()

    def work(connection: Connection, inquired: Inquired, locked: None) -> Answer:
        brand, change = create_brand(connection, wish.value)
        status = 201 if change == "created" else 200
        return shown(brand, status, {"location": f"{router.prefix}/{brand.id}"})

    return await answered(resources, Settling(request, wish.keyed, only_one(wish.keyed), work))


@router.patch(
    "/{brand_id}",
    response_model=StoredBrand,
    responses=documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
    openapi_extra=described(
        BrandChanges, rename={"name": "Acme & Sons"}, clear={"description": None, "logo_url": None}
    ),
)
async def change(brand_id: Id, request: Request, resources: Opened) -> Response:
    """Changes a brand, its name too, and has that brought to the brand system.

    What is absent stays as it is; `null` clears a description or logo. 409 says that the name
    belongs to another brand. Signed as a webhook, unless the endpoint takes unsigned requests
    from this machine.
    """
    wish = await read_wish(request, resources, BrandChanges)
    resources.door.check_open()

    def work(connection: Connection, inquired: Inquired, locked: None) -> Answer:
        return shown(change_brand(connection, brand_id, wish.value))

    return await answered(resources, Settling(request, wish.keyed, only_one(wish.keyed), work))


@router.get("", responses=documented(422, 503))
async def list_all(
    resources: Opened,
    limit: Annotated[int, Query(ge=1, le=MOST_BRANDS)] = 50,
    after: Annotated[
        str, Query(max_length=255, pattern=_ID_PATTERN, description="`next` of the page before.")
    ] = "",
) -> BrandPage:
    """Lists the brands in the order of their ids."""
    brands = await resources.transact(
        lambda connection: list_brands(connection, after=after, limit=limit + 1)
    )
    more = len(brands) > limit
    page = brands[:limit]
    return BrandPage(brands=page, next=page[-1].id if more else None)


@router.get("/{brand_id}", responses=documented(404, 422, 503))
async def show(brand_id: Id, resources: Opened) -> StoredBrand:
    """Shows one brand."""
    brand = await resources.transact(lambda connection: load_brand(connection, brand_id))
    if brand is None:
        raise NotFound(f"There is no brand {brand_id}.")
    return brand
