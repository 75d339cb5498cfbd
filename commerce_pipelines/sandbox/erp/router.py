"""The ERP's HTTP interface put together, with the document that describes it.

Belongs here: what all routes share. Does not belong here: the routes.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.openapi.utils import get_openapi

from commerce_pipelines.sandbox.erp.access import Access
from commerce_pipelines.sandbox.erp.order_routes import OrderRoutes
from commerce_pipelines.sandbox.erp.routes import ProductRoutes, refused
from commerce_pipelines.sandbox.erp.system import SYSTEM, ErpSystem
from commerce_pipelines.sandbox.faults import Faults
from commerce_pipelines.sandbox.record import Record

_DESCRIPTION = """\
What a service in front of an ERP has to offer so that commerce_pipelines can work with it.

Money is decimal text in the currency's main unit, never a number. Moments are ISO 8601 in UTC.
Every request may be repeated. A refusal has a `code` that stays the same. A list goes on at its
`next_cursor`; what does not change while a list is read must come in it."""
_EVERYWHERE: dict[int | str, dict[str, Any]] = {
    401: refused("The key is missing or wrong."),
    429: refused("Too many requests in a second; see Retry-After."),
}


def erp_router(system: ErpSystem, access: Access, faults: Faults, record: Record) -> APIRouter:
    """Returns the routes.

    Args:
        system: What there is.
        access: Who may ask, and how often.
        faults: For faults that only this system shows.
        record: Where effects are noted.
    """

    async def settle() -> None:
        system.commits.settle()

    contract = APIRouter(
        prefix=f"/{SYSTEM}",
        tags=[SYSTEM],
        dependencies=[Depends(access), Depends(settle)],
        responses=_EVERYWHERE,
    )
    ProductRoutes(system, faults, record).add_to(contract)
    OrderRoutes(system, faults, record).add_to(contract)
    router = APIRouter()
    router.routes.extend(contract.routes)

    @router.get(f"/{SYSTEM}/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        """Gives the contract's OpenAPI document, without a key."""
        return get_openapi(
            title="ERP reference contract",
            version="1",
            description=_DESCRIPTION,
            routes=contract.routes,
        )

    return router
