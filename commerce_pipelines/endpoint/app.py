"""The application: routes put together, and their description.

Belongs here: what there is. Does not belong here: sockets and signals (`server.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.brands import BrandChanges, WantedBrand
from commerce_pipelines.domain.cart import CartChanges, LineChange, NewCart, NewCustomer, NewLine
from commerce_pipelines.domain.catalog import Product
from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.endpoint import (
    brands,
    carts,
    catalog,
    customers,
    health,
    messages,
    orders,
    prices,
    problems,
    product_update,
    products,
    webhooks,
)
from commerce_pipelines.endpoint.callers import Callers
from commerce_pipelines.endpoint.edge import Edge
from commerce_pipelines.endpoint.resources import opened
from commerce_pipelines.settings import Settings

_EXAMPLE = [
    {"title": "Test product 1", "description": "Product 1 description"},
    {
        "title": "Test product 2",
        "external_id": "PIM-2",
        "brand": "Acme",
        "options": [{"title": "Size", "values": ["S", "M"]}],
        "variants": [
            {
                "sku": "TEST-2-S",
                "options": {"Size": "S"},
                "prices": [{"amount": "9.99", "currency_code": "EUR"}],
            },
            {
                "sku": "TEST-2-M",
                "options": {"Size": "M"},
                "prices": [{"amount": "10.99", "currency_code": "EUR"}],
            },
        ],
    },
]

# Bodies that no route declares, for they are read strictly, and the answer that any may give.
_READ_BY_HAND: tuple[type[BaseModel], ...] = (
    Product,
    WantedBrand,
    BrandChanges,
    ProductChanges,
    webhooks.PriceBookChange,
    webhooks.OrderUpdates,
    NewCustomer,
    NewCart,
    CartChanges,
    NewLine,
    LineChange,
    problems.Problem,
)


def create_app(settings: Settings, erp: Erp | None = None) -> FastAPI:
    """Returns the application; it connects to nothing before it is started.

    Args:
        settings: Of this process.
        erp: The ERP, if it is another than the settings say.

    Raises:
        ConfigurationError: A setting is missing or unsafe.
    """
    callers = Callers.of(settings)
    settings.require_postgres_url()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, callers, erp) as resources:
            app.state.resources = resources
            yield

    app = _Described(
        title="commerce_pipelines",
        description="Takes products from a PIM and brands from the store's people, and shows what "
        "became of them. "
        "Every error is `application/problem+json`.",
        version=_version(),
        lifespan=lifespan,
        redoc_url=None,
    )
    problems.install(app)
    app.add_middleware(Edge, callers=callers)
    # Routes are looked through in this order: first those that somebody waits for.
    buying = (carts, prices, customers, orders)
    reading = (messages, catalog, health)
    for part in (*buying, products, webhooks, product_update, brands, *reading):
        # Included, a router would be built anew for each application, and searched twice a request.
        app.router.routes.extend(part.router.routes)
    return app


class _Described(FastAPI):
    """An application whose description has the shapes that no route declares."""

    def openapi(self) -> dict[str, Any]:
        """Returns the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            document.setdefault("components", {}).setdefault("schemas", {}).update(_shapes())
        return super().openapi()


def _shapes() -> dict[str, Any]:
    _, described = models_json_schema(
        [(shape, "validation") for shape in _READ_BY_HAND],
        ref_template="#/components/schemas/{model}",
    )
    shapes: dict[str, Any] = described["$defs"]
    array = {"type": "array", "items": {"$ref": "#/components/schemas/Product"}}
    shapes["ProductList"] = {
        "description": 'An array of products, or {"products": [...]}.',
        "anyOf": [
            array,
            {"type": "object", "properties": {"products": array}, "required": ["products"]},
        ],
        "examples": [_EXAMPLE],
    }
    return shapes


def _version() -> str:
    try:
        return version("commerce-pipelines")
    except PackageNotFoundError:
        return "0"
