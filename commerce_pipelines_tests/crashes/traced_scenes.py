"""The scenes of this suite, and what is wrong with the outside systems in them."""

from __future__ import annotations

from commerce_pipelines_tests.crashes import orders
from commerce_pipelines_tests.crashes.cases import Cast
from commerce_pipelines_tests.crashes.ground import Ground


def second_transaction_unanswered(ground: Ground) -> None:
    """Sanity applies the second transaction and answers 503."""
    ground.cms.fault("unavailable_after", after=1)


def order_late(ground: Ground) -> None:
    """The order system hangs up and applies the order later."""
    ground.orders.late_seconds = orders.LATE_SECONDS


def synced(ground: Ground) -> None:
    """The store has the brands of the brand system."""
    ground.sides.sync("earlier")


def brands_changed_there(ground: Ground) -> None:
    """The brand system has two brands renamed, one gone and one new since the last sync."""
    swapped, other, gone = ground.sides.there.page(limit=3)["brands"]
    ground.sides.there.patch(swapped["id"], name=other["name"])
    ground.sides.there.patch(other["id"], name=swapped["name"])
    ground.sides.there.delete(gone["id"])
    ground.sides.there.create(name="Quite new")


def brand_renamed_here(ground: Ground) -> None:
    """The store has a brand with another name, which waits to be pushed."""
    synced(ground)
    ground.sides.rename(ground.sides.here()[-1].id, "Another name")


def brand_created_here(ground: Ground) -> None:
    """The store has a new brand, which waits to be pushed."""
    synced(ground)
    ground.sides.save("Quite new")


SCENES: dict[str, Cast] = {
    "an import": Cast("import_page"),
    "an import that fails": Cast("import_page", setup=second_transaction_unanswered),
    "an order": Cast("export_order"),
    "an order that fails": Cast("fail_order"),
    "an order that comes late": Cast("export_order", setup=order_late),
    "a sync of brands": Cast("sync_brands", store=synced, elsewhere=brands_changed_there),
    "a push of a new brand": Cast("push_brands", store=brand_created_here),
    "a push of another name": Cast("push_brands", store=brand_renamed_here),
}
