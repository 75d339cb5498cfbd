"""The scenes of this suite, and what is wrong with the outside systems in them."""

from __future__ import annotations

from commerce_pipelines_tests.crashes import orders
from commerce_pipelines_tests.crashes.cases import Setup, as_it_is
from commerce_pipelines_tests.crashes.ground import Ground


def second_transaction_unanswered(ground: Ground) -> None:
    """Sanity applies the second transaction and answers 503."""
    ground.cms.fault("unavailable_after", after=1)


def order_late(ground: Ground) -> None:
    """The order system hangs up and applies the order later."""
    ground.orders.late_seconds = orders.LATE_SECONDS


def brands_changed_there(ground: Ground) -> None:
    """The brand system has two brands renamed, one gone and one new since the last sync."""
    ground.sides.sync("earlier")
    swapped, other, gone = ground.sides.there.page(limit=3)["brands"]
    ground.sides.there.patch(swapped["id"], name=other["name"])
    ground.sides.there.patch(other["id"], name=swapped["name"])
    ground.sides.there.delete(gone["id"])
    ground.sides.there.create(name="Quite new")


def brand_renamed_here(ground: Ground) -> None:
    """The store has a brand with another name, which waits to be pushed."""
    ground.sides.sync("earlier")
    ground.sides.rename(ground.sides.here()[-1].id, "Another name")


def brand_created_here(ground: Ground) -> None:
    """The store has a new brand, which waits to be pushed."""
    ground.sides.sync("earlier")
    ground.sides.save("Quite new")


Cast = tuple[str, Setup, Setup]

SCENES: dict[str, Cast] = {
    "an import": ("import_page", as_it_is, as_it_is),
    "an import that fails": ("import_page", second_transaction_unanswered, as_it_is),
    "an order": ("export_order", as_it_is, as_it_is),
    "an order that fails": ("fail_order", as_it_is, as_it_is),
    "an order that comes late": ("export_order", order_late, as_it_is),
    "a sync of brands": ("sync_brands", as_it_is, brands_changed_there),
    "a push of a new brand": ("push_brands", as_it_is, brand_created_here),
    "a push of another name": ("push_brands", as_it_is, brand_renamed_here),
}
