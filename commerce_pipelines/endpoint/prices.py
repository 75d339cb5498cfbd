"""What a variant costs: from the price book, from the ERP, or as it was, with its age."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from commerce_pipelines.domain.cart import MOST_PIECES, Currency, total_of
from commerce_pipelines.domain.money import unit_price_text
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import STORE_SECONDS, Opened
from commerce_pipelines.endpoint.settling import settled
from commerce_pipelines.services.pricing import quote

_ID_PATTERN = r"^[\x20-\x7e]*$"

router = APIRouter(prefix="/store/variants", tags=["store"])


class Price(BaseModel):
    """What some pieces of a variant cost."""

    variant_id: str
    currency_code: str
    quantity: int
    unit_price: str = Field(description="Of one unit, in the currency's main unit.")
    min_quantity: int = Field(description="The tier: from so many pieces on, this price counts.")
    total_minor: int = Field(description="Of all pieces, in the currency's minor unit.")
    priced_at: datetime = Field(description="When the ERP was asked.")
    age_seconds: float = Field(description="How long ago that is.")
    stale: bool = Field(description="The ERP does not answer; no cart is completed at this price.")


@router.get("/{variant_id}/price", responses=documented(404, 409, 422, 503))
async def show(
    variant_id: Annotated[str, Path(max_length=255, pattern=_ID_PATTERN)],
    currency_code: Annotated[Currency, Query(description="ISO 4217.")],
    resources: Opened,
    quantity: Annotated[int, Query(ge=1, le=MOST_PIECES)] = 1,
    customer_id: Annotated[str | None, Query(max_length=255, pattern=_ID_PATTERN)] = None,
) -> Price:
    """Shows what some pieces of a variant cost a customer; everybody's price without one."""
    asked = partial(
        quote,
        variant_id=variant_id,
        currency_code=currency_code,
        customer_id=customer_id,
        quantity=quantity,
    )
    found = await settled(resources, asked, seconds=STORE_SECONDS, is_display=True)
    return Price(
        variant_id=variant_id,
        currency_code=currency_code,
        quantity=quantity,
        unit_price=unit_price_text(found.unit_price, currency_code),
        min_quantity=found.min_quantity,
        total_minor=total_of(found.unit_price, quantity, currency_code),
        priced_at=found.fetched_at,
        age_seconds=round(found.age_seconds, 3),
        stale=found.is_stale,
    )
