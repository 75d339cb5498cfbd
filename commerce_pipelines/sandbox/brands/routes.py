"""The brand system's HTTP interface, `/brands`.

Belongs here: what the routes read and answer. Does not belong here: what there is
(`register.py`). Every route runs on the event loop without awaiting between reading
and writing the register: that makes a request atomic.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime

from commerce_pipelines.sandbox.brands import errors
from commerce_pipelines.sandbox.brands.access import Access
from commerce_pipelines.sandbox.brands.register import Register
from commerce_pipelines.sandbox.brands.seeds import Brand
from commerce_pipelines.sandbox.brands.shapes import BrandChange, BrandModel, NewBrand, PageModel
from commerce_pipelines.sandbox.faults import FaultKind, Faults
from commerce_pipelines.sandbox.moments import moment_text
from commerce_pipelines.sandbox.record import Record

SYSTEM = "brands"
MOST_A_PAGE = 500
_ONE = "/brands/{brand_id}"
_CURSOR_PREFIX = "at-"


def _refused(description: str) -> dict[str, Any]:
    return {"model": errors.ErrorBody, "description": description}


_EVERYWHERE: dict[int | str, dict[str, Any]] = {
    401: _refused("The key is missing or wrong."),
    429: _refused("Too many requests in a second; see Retry-After."),
}
_GONE: dict[int | str, dict[str, Any]] = {404: _refused("There is no such brand.")}
_GUARDED: dict[int | str, dict[str, Any]] = {
    **_GONE,
    412: _refused("The brand has changed since; it was left as it is."),
}

BrandId = Annotated[str, Path(description="The brand's id.")]
IdempotencyKey = Annotated[
    str,
    Header(
        min_length=1,
        max_length=255,
        description="The same key and body again give the same answer and one brand; with "
        "another body it is 422.",
    ),
]
UnlessChangedSince = Annotated[
    AwareDatetime | None,
    Header(
        alias="If-Unmodified-Since-Version",
        description="The updated_at that the caller has seen; 412 if it is another one by now.",
    ),
]


class BrandRoutes:
    """The routes over one register.

    Args:
        register: The brands.
        access: Who may ask, and how often.
        faults: For faults that only this system shows.
        record: Where effects are noted.
    """

    def __init__(self, register: Register, access: Access, faults: Faults, record: Record) -> None:
        self._register = register
        self._access = access
        self._faults = faults
        self._record = record

    def router(self) -> APIRouter:
        """Returns the routes."""
        router = APIRouter(
            prefix=f"/{SYSTEM}",
            tags=[SYSTEM],
            dependencies=[Depends(self._access)],
            responses=_EVERYWHERE,
        )
        add = router.add_api_route
        add("/brands", self.listed, methods=["GET"], response_model=PageModel)
        add("/brands", self.create, methods=["POST"], status_code=201, response_model=BrandModel)
        add(_ONE, self.one, methods=["GET"], response_model=BrandModel, responses=_GONE)
        add(_ONE, self.change, methods=["PATCH"], response_model=BrandModel, responses=_GUARDED)
        add(_ONE, self.delete, methods=["DELETE"], status_code=204, responses=_GUARDED)
        return router

    async def listed(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST_A_PAGE, description="Brands a page.")] = 100,
        cursor: Annotated[
            str | None,
            Query(
                description="The next_cursor of the page before. It is a position: brands that "
                "change meanwhile move to the end, and what stood behind them moves forward."
            ),
        ] = None,
        updated_since: Annotated[
            AwareDatetime | None,
            Query(description="Only brands changed at this moment or later."),
        ] = None,
    ) -> Response:
        """Lists brands by updated_at; deleted ones are not told of."""
        matching = self._register.changed(updated_since)
        start = _position(cursor)
        rows = matching[start : start + limit]
        if rows and self._shows(FaultKind.REPEATED_ROWS, request):
            rows = [*rows, rows[0]]
        more = start + limit < len(matching)
        page = {
            "brands": rows,
            "next_cursor": f"{_CURSOR_PREFIX}{start + limit}" if more else None,
            "total": len(self._register),
        }
        return JSONResponse(page)

    async def create(self, body: NewBrand, idempotency_key: IdempotencyKey) -> Response:
        """Creates a brand, once for each Idempotency-Key."""
        asked = body.model_dump()
        known = self._register.created(idempotency_key)
        if known is None:
            brand = self._register.create(idempotency_key, asked)
            self._note("create", brand["id"], idempotency_key=idempotency_key)
            return JSONResponse(brand, 201)
        asked_before, brand = known
        if asked_before != asked:
            raise errors.key_reused()
        return JSONResponse(brand, 201, {"idempotent-replayed": "true"})

    async def one(self, brand_id: BrandId) -> Response:
        """Gives one brand."""
        return JSONResponse(self._found(brand_id))

    async def change(
        self, brand_id: BrandId, body: BrandChange, unless_changed_since: UnlessChangedSince = None
    ) -> Response:
        """Replaces some fields of a brand."""
        self._check(brand_id, unless_changed_since)
        changes = body.model_dump(exclude_unset=True)
        brand = self._register.change(brand_id, changes)
        self._note("update", brand_id, fields=sorted(changes), updated_at=brand["updated_at"])
        return JSONResponse(brand)

    async def delete(
        self, brand_id: BrandId, unless_changed_since: UnlessChangedSince = None
    ) -> Response:
        """Deletes a brand."""
        self._check(brand_id, unless_changed_since)
        self._register.delete(brand_id)
        self._note("delete", brand_id)
        return Response(status_code=204)

    def _found(self, brand_id: str) -> Brand:
        brand = self._register.get(brand_id)
        if brand is None:
            raise errors.not_found(brand_id)
        return brand

    def _check(self, brand_id: str, seen: AwareDatetime | None) -> None:
        updated_at = self._found(brand_id)["updated_at"]
        if seen is not None and moment_text(seen) != updated_at:
            raise errors.version_differs(brand_id, updated_at)

    def _shows(self, kind: FaultKind, request: Request) -> bool:
        where = SYSTEM, request.method, request.url.path
        return self._faults.take(frozenset({kind}), *where) is not None

    def _note(self, kind: str, brand_id: str, **details: object) -> None:
        self._record.effect(SYSTEM, kind, 1, brand_id=brand_id, **details)


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    digits = cursor.removeprefix(_CURSOR_PREFIX)
    if digits == cursor or not digits.isdecimal() or len(digits) > 12:
        raise errors.no_such_cursor()
    return int(digits)


async def refuse(request: Request, refusal: Exception) -> Response:
    """Answers with a refusal, as an exception handler of the application."""
    if not isinstance(refusal, errors.BrandsError):
        raise refusal
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
