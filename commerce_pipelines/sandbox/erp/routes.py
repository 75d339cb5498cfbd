"""The reference contract's routes for products, prices, stock and purchase rules, `/erp`.

Belongs here: what these routes read and answer. Does not belong here: orders
(`order_routes`), what there is (`system`). Every route runs on the event loop without
awaiting between reading and writing: that makes a request atomic.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime

from commerce_pipelines.sandbox.erp import errors, shapes
from commerce_pipelines.sandbox.erp.system import SYSTEM, ErpSystem
from commerce_pipelines.sandbox.faults import FaultKind, Faults
from commerce_pipelines.sandbox.moments import moment_text
from commerce_pipelines.sandbox.record import Record

_ONE = "/products/{product_id}"


def refused(description: str) -> dict[str, Any]:
    """Returns how OpenAPI describes a refusal."""
    return {"model": errors.ErrorBody, "description": description}


_GONE: dict[int | str, dict[str, Any]] = {404: refused("There is no such product.")}
_GUARDED: dict[int | str, dict[str, Any]] = {
    **_GONE,
    412: refused("The product is at another revision; it was left as it is."),
    422: refused("It is not taken in this form; nothing was changed."),
}

Limit = Annotated[int, Query(ge=1, le=shapes.MOST_A_PAGE, description="Records a page.")]
Cursor = Annotated[str | None, Query(description="The next_cursor of the page before.")]
ChangedSince = Annotated[
    AwareDatetime | None, Query(description="Only what changed at this moment or later.")
]
ProductId = Annotated[str, Path(description="The product's id.")]
Revision = Annotated[
    str,
    Header(alias="If-Match", description="The revision that the caller has seen; else 412."),
]
IdempotencyKey = Annotated[
    str,
    Header(
        min_length=1,
        max_length=255,
        description="The same key and body again change nothing and answer the product as it "
        "is, whatever the revision; with another body it is 422.",
    ),
]


class ProductRoutes:
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
        add("/products", self.listed, methods=["GET"], response_model=shapes.ProductPage)
        one: dict[str, Any] = {"response_model": shapes.ProductModel}
        add(_ONE, self.one, methods=["GET"], responses=_GONE, **one)
        add(_ONE, self.change, methods=["PUT"], responses=_GUARDED, **one)
        for what, ask, model in (
            ("prices", self.prices, shapes.PriceAnswer),
            ("stock", self.stock, shapes.StockAnswer),
            ("purchase-rules", self.rules, shapes.RuleAnswer),
            ("companies", self.companies, shapes.CompanyAnswer),
        ):
            add(f"/{what}/query", ask, methods=["POST"], response_model=model)

    async def listed(
        self,
        request: Request,
        limit: Limit = 100,
        cursor: Cursor = None,
        changed_since: ChangedSince = None,
    ) -> Response:
        """Lists products by changed_at."""
        products = self._system.products
        shifting = shifts(self._faults, request)
        since = "" if changed_since is None else moment_text(changed_since)
        as_of = self._system.commits.as_of()
        page = products.timeline.page(since, None, cursor, limit, shifting=shifting)
        rows = [products.get(product_id) for product_id in page.ids]
        if shifting and rows:
            # Somebody works on what was just read: it moves to the end, the rest moves up.
            products.change_by_hand(rows[0]["id"], {}, 0.0)
            rows.append(rows[-1])
        return JSONResponse({"products": rows, "next_cursor": page.next_cursor, "as_of": as_of})

    async def one(self, product_id: ProductId) -> Response:
        """Gives one product."""
        return JSONResponse(self._system.products.get(product_id))

    async def change(
        self,
        product_id: ProductId,
        body: shapes.ProductChange,
        if_match: Revision,
        idempotency_key: IdempotencyKey,
    ) -> Response:
        """Changes a product, once for each Idempotency-Key."""
        asked = body.model_dump()
        product, now = self._system.products.write(product_id, asked, if_match, idempotency_key)
        if not now:
            return JSONResponse(product, headers={"idempotent-replayed": "true"})
        self._record.effect(
            SYSTEM,
            "product.update",
            1,
            product_id=product_id,
            key=idempotency_key,
            revision=product["revision"],
            title=product["title"],
        )
        return JSONResponse(product)

    async def prices(self, body: shapes.PriceQuery, request: Request) -> Response:
        """Gives the prices of many variants."""
        found = []
        null = self._shows(FaultKind.NULL_PRICES, request)
        for variant in body.variants:
            sells = self._system.products.sells(variant) and not null
            tiers = self._system.terms.price(variant, body.currency_code, body.customer_group)
            found.append({"variant": variant, "tiers": tiers if sells else None})
        return JSONResponse({"as_of": self._system.commits.as_of(), "prices": found})

    async def stock(self, body: shapes.StockQuery) -> Response:
        """Gives the stock of many variants."""
        levels = self._system.terms.stock
        nothing = {"available": "0", "allows_out_of_stock": False}
        found = [
            {"variant": variant, **levels.get(variant, nothing)}
            for variant in body.variants
            if self._system.products.knows(variant)
        ]
        return JSONResponse({"as_of": self._system.commits.as_of(), "stock": found})

    async def rules(self, body: shapes.RuleQuery) -> Response:
        """Tells which of these companies may not buy which of these variants."""
        asked = set(body.variants)
        found = []
        for name in body.companies:
            company = self._system.terms.company(name) or {"forbidden": []}
            forbidden = [each for each in company["forbidden"] if each in asked]
            found += [{"company": name, "variant": each} for each in forbidden]
        return JSONResponse({"as_of": self._system.commits.as_of(), "forbidden": found})

    async def companies(self, body: shapes.CompanyQuery) -> Response:
        """Gives companies by name."""
        found = []
        for name in body.names:
            company = self._system.terms.company(name)
            if company is not None:
                found.append({"name": name, "customer_group": company["customer_group"]})
        return JSONResponse({"companies": found})

    def _shows(self, kind: FaultKind, request: Request) -> bool:
        where = SYSTEM, request.method, request.url.path
        return self._faults.take(frozenset({kind}), *where) is not None


def shifts(faults: Faults, request: Request) -> bool:
    """Tells whether a list is to shift while it is read."""
    where = SYSTEM, request.method, request.url.path
    return faults.take(frozenset({FaultKind.SHIFTING_ROWS}), *where) is not None


async def refuse(request: Request, refusal: Exception) -> Response:
    """Answers with a refusal, as an exception handler of the application."""
    if not isinstance(refusal, errors.ErpError):
        raise refusal
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
