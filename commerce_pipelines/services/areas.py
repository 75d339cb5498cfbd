"""Which sagas and messages belong to which data, so that each asset's checks tell of its own.

What no area names belongs to the products, so that nothing is told by no check.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from commerce_pipelines.services import (
    brand_push,
    brand_sync,
    order_export,
    order_status_import,
    pim_import,
    price_book_refresh,
    price_changes,
    product_update,
)


@dataclass(frozen=True)
class Area:
    """What belongs together.

    Attributes:
        about: What its messages are called in a sentence.
        kinds: Of its sagas.
        topics: Of its messages.
        work: What is done with those, in a sentence.
        sensors: What starts that.
        system: Without it they rightly wait; None where they never do.
    """

    about: str
    kinds: tuple[str, ...]
    topics: tuple[str, ...]
    work: str
    sensors: tuple[str, ...]
    system: str | None = None


class Names(NamedTuple):
    """The kinds or topics that are looked at: these, or with `within` off all but these."""

    names: list[str]
    within: bool


PRODUCTS: Final = Area(
    about="messages",
    kinds=(pim_import.KIND,),
    topics=(*pim_import.TOPICS, product_update.TOPIC),
    work="imports or product updates",
    sensors=("pim_messages", "product_update_messages"),
)
BRANDS: Final = Area(
    about="messages about brands",
    kinds=(brand_sync.KIND, brand_push.KIND),
    topics=(brand_push.TOPIC,),
    work="pushes",
    sensors=("brand_messages",),
    system="brands",
)
PRICES: Final = Area(
    about="changes of prices",
    kinds=(price_book_refresh.KIND,),
    topics=(price_changes.TOPIC,),
    work="runs of price_book_refresh",
    sensors=("price_book",),
    system="erp",
)
ORDERS: Final = Area(
    about="messages about orders",
    kinds=(order_export.KIND, order_status_import.KIND),
    topics=(order_export.ORDERS, order_status_import.TOPIC),
    work="exports or imports of order updates",
    sensors=("order_messages", "order_update_messages"),
    system="erp",
)
# All but the products.
NAMED: Final = (BRANDS, PRICES, ORDERS)


def waited_for(systems: Collection[str]) -> tuple[Area, ...]:
    """Returns the areas whose messages should not wait for long.

    Args:
        systems: Which systems there are.
    """
    return tuple(
        area for area in (PRODUCTS, *NAMED) if area.system is None or area.system in systems
    )


def area_of(topic: str) -> Area:
    """Returns the area of a topic."""
    return next((area for area in NAMED if topic in area.topics), PRODUCTS)


def kinds_of(area: Area | None) -> Names:
    """Returns the kinds of saga of an area; of all without one."""
    if area in NAMED:
        return Names(list(area.kinds), within=True)
    others = NAMED if area else ()
    return Names([kind for other in others for kind in other.kinds], within=False)


def topics_of(area: Area | None) -> Names:
    """Returns the topics of an area; of all without one."""
    if area in NAMED:
        return Names(list(area.topics), within=True)
    others = NAMED if area else ()
    return Names([topic for other in others for topic in other.topics], within=False)
