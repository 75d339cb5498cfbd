"""The store's brands: read by anybody, changed by the store's people.

Belongs here: the four routes. Does not belong here: bringing a change to the
brand system, for which each one writes a message in its own commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection

from commerce_pipelines.domain.brands import BrandChanges, StoredBrand, WantedBrand
from commerce_pipelines.domain.catalog import first_fault
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.endpoint.bodies import BodyLimits, open_body
from commerce_pipelines.endpoint.problems import ProblemError, documented
from commerce_pipelines.endpoint.resources import Opened, Resources
from commerce_pipelines.errors import NotFound
from commerce_pipelines.services.brand_push import change_brand, create_brand
from commerce_pipelines.store.brands import list_brands, load_brand

LIMITS = BodyLimits(most_bytes=256 * 1024, seconds=10.0)
MOST_BRANDS = 500
# An import keeps other writers of brands out while it stores a page.
CHANGE_SECONDS = 10.0

# Ids hold nothing else, and the store takes no NUL.
_ID_PATTERN = r"^[\x20-\x7e]*$"

router = APIRouter(prefix="/store/brands", tags=["store"])

T = TypeVar("T")
Body = TypeVar("Body", bound=BaseModel)
Id = Annotated[str, Path(max_length=255, pattern=_ID_PATTERN)]


class BrandPage(BaseModel):
    """Some of the brands."""

    brands: list[StoredBrand]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


def _body(shape: type[BaseModel], **examples: dict[str, Any]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": f"#/components/schemas/{shape.__name__}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "The brand."}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Accepted and ignored: the name already makes a repeated request harmless. "
    "It answers 200, not 201, with the brand as it is then.",
}


@router.post(
    "",
    status_code=201,
    responses={
        201: {"description": "The brand was created.", "headers": _LOCATION},
        200: {
            "model": StoredBrand,
            "description": "A brand of that name was there, and says now what was asked for.",
            "headers": _LOCATION,
        },
        **documented(400, 401, 403, 408, 413, 415, 422, 503),
    },
    openapi_extra={
        "parameters": [_KEY],
        **_body(
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
async def create(request: Request, response: Response, resources: Opened) -> StoredBrand:
    """Creates a brand, or changes the one of that name, and has it brought to the brand system.

    What is absent of a brand that is there stays as it is; `null` clears it. Signed as a webhook,
    unless the endpoint takes unsigned requests from this machine.
    """
    wanted = await _read(request, resources, WantedBrand)
    brand, change = await _change(resources, lambda store: create_brand(store, wanted))
    response.status_code = 201 if change == "created" else 200
    response.headers["Location"] = f"{router.prefix}/{brand.id}"
    return brand


@router.patch(
    "/{brand_id}",
    responses=documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
    openapi_extra=_body(
        BrandChanges, rename={"name": "Acme & Sons"}, clear={"description": None, "logo_url": None}
    ),
)
async def change(brand_id: Id, request: Request, resources: Opened) -> StoredBrand:
    """Changes a brand, its name too, and has that brought to the brand system.

    What is absent stays as it is; `null` clears a description or logo. 409 says that the name
    belongs to another brand. Signed as a webhook, unless the endpoint takes unsigned requests
    from this machine.
    """
    changes = await _read(request, resources, BrandChanges)
    return await _change(resources, lambda store: change_brand(store, brand_id, changes))


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


async def _read(request: Request, resources: Resources, shape: type[Body]) -> Body:
    """Returns what a request asks for, once it is known to be from one who may."""
    delivery = resources.callers.signed_or_local(request)
    async with open_body(request, LIMITS, delivery.feed if delivery else _ignore) as body:
        if delivery:
            delivery.verify()
        asked = loads(body.whole())
    try:
        return shape.model_validate(asked)
    except ValidationError as error:
        field, reason = first_fault(error)
        detail = f"{field}: {reason}" if field else reason
        fault = {"field": field, "reason": reason}
        raise ProblemError(422, detail, errors=[fault]) from error


async def _change(resources: Resources, work: Callable[[Connection], T]) -> T:
    resources.door.check_open()
    return await resources.transact(work, CHANGE_SECONDS)


def _ignore(chunk: bytes) -> None:
    """Takes a piece of an unsigned body."""
