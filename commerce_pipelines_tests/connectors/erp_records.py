"""Products and orders for the cases of the ERP's port, and what a reading brings of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from commerce_pipelines.connectors.erp.port import Erp, RejectedRecord
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.domain.orders import (
    STATUS_OF,
    Address,
    ErpOrder,
    OrderLine,
    OrderStatus,
    PlacedOrder,
)
from commerce_pipelines.domain.price_book import PriceTier
from commerce_pipelines_tests.connectors.erp_contract import World

ADDRESS = Address(
    first_name="Ada",
    last_name="Lovelace",
    address_1="12 St James's Square",
    postal_code="SW1Y 4JH",
    city="London",
    country_code="GB",
)


def new_product(world: World, variants: int = 2) -> ErpProduct:
    """Makes a product of its own and returns it as the adapter sees it."""
    tag = uuid4().hex[:12]
    return seen(world, world.add_product(f"Mug {tag}", [f"{tag}-{at}" for at in range(variants)]))


def new_variant(world: World) -> str:
    """Makes a product of one variant and returns that one's id."""
    return ids_of(new_product(world, 1))[0]


def seen(world: World, product_id: str) -> ErpProduct:
    """Returns a product that is there."""
    product = world.erp.find_product(product_id)
    assert product is not None
    return product


def ids_of(product: ErpProduct) -> list[str]:
    """Returns the ids of a product's variants."""
    return [str(variant.external_id) for variant in product.details.variants]


def tiers(*pairs: tuple[int, str]) -> tuple[PriceTier, ...]:
    """Returns a price's tiers."""
    return tuple(PriceTier(quantity, Decimal(amount)) for quantity, amount in pairs)


def an_order(variant: str, quantity: int = 2, **changes: object) -> PlacedOrder:
    """Returns an order of ours for one variant at 9.90."""
    line = OrderLine(
        1, "variant_1", variant, "SKU", "Mug", quantity, Decimal("9.90"), 990 * quantity
    )
    order = PlacedOrder(
        id=f"order_{uuid4().hex}",
        currency_code="EUR",
        placed_at=datetime.now(UTC).replace(microsecond=0),
        email="ada@example.com",
        company_name=None,
        shipping_address=ADDRESS,
        billing_address=ADDRESS,
        lines=(line,),
        total_minor=990 * quantity,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def status_of(order: ErpOrder) -> OrderStatus:
    """Returns what an order's status there means."""
    return STATUS_OF[order.status]


def changed(erp: Erp, since: datetime | None) -> list[ErpProduct]:
    """Returns the products that a reading brings."""
    return [product for page in erp.fetch_products(since) for product in page.products]


def readable(orders: Iterable[ErpOrder | RejectedRecord]) -> list[ErpOrder]:
    """Returns the orders of a reading that can be read."""
    return [each for each in orders if isinstance(each, ErpOrder)]


def changed_details(product: ErpProduct) -> ErpDetails:
    """Returns details with another title and SKU, the second variant gone and one added."""
    first = product.details.variants[0]
    tag = uuid4().hex[:8]
    return ErpDetails(
        title=f"Changed {tag}",
        description=product.details.description,
        variants=(
            replace(first, sku=f"{tag}-first"),
            ErpVariant(None, f"{tag}-new", "C", (("Size", "C"),)),
        ),
    )
