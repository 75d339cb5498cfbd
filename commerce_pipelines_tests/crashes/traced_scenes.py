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


SCENES: dict[str, tuple[str, Setup]] = {
    "an import": ("import_page", as_it_is),
    "an import that fails": ("import_page", second_transaction_unanswered),
    "an order": ("export_order", as_it_is),
    "an order that fails": ("fail_order", as_it_is),
    "an order that comes late": ("export_order", order_late),
}
