"""The store's products, for reading."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from commerce_pipelines.domain.stored import StoredProduct
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened
from commerce_pipelines.errors import NotFound
from commerce_pipelines.store.catalog import list_products, load_product

MOST_PRODUCTS = 500

# Ids hold nothing else, and the store takes no NUL.
_ID_PATTERN = r"^[\x20-\x7e]*$"

router = APIRouter(prefix="/store/products", tags=["store"])


class ProductPage(BaseModel):
    """Some of the products."""

    products: list[StoredProduct]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


@router.get("", responses=documented(422, 503))
async def list_all(
    resources: Opened,
    limit: Annotated[int, Query(ge=1, le=MOST_PRODUCTS)] = 50,
    after: Annotated[
        str, Query(max_length=255, pattern=_ID_PATTERN, description="`next` of the page before.")
    ] = "",
) -> ProductPage:
    """Lists the products in the order of their ids."""
    products = await resources.transact(
        lambda connection: list_products(connection, after=after, limit=limit + 1)
    )
    more = len(products) > limit
    page = products[:limit]
    return ProductPage(products=page, next=page[-1].id if more else None)


@router.get("/{product_id}", responses=documented(404, 422, 503))
async def show(
    product_id: Annotated[str, Path(max_length=255, pattern=_ID_PATTERN)], resources: Opened
) -> StoredProduct:
    """Shows one product."""
    product = await resources.transact(lambda connection: load_product(connection, product_id))
    if product is None:
        raise NotFound(f"There is no product {product_id}.")
    return product
