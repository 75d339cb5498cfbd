"""What a person sends to an ERP by hand, instead of us.

Belongs here: the shape of a request, and an ERP for which nobody can write one down.
Does not belong here: an ERP's own requests (`rest_by_hand`, `tryton_by_hand`), and which
of them is right (`services`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.orders import ErpOrder


@dataclass(frozen=True, slots=True)
class Request:
    """A request, with `$ERP_API_KEY` in place of the key.

    Attributes:
        body: What is sent as JSON; None for nothing.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: dict[str, Any] | None = None


class ByHand:
    """The requests that do what the port's operations do; here there are none."""

    def write_product(
        self, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> Request | None:
        """Returns what changes a product to these details, and is refused after others' changes.

        None where no request is refused after those.
        """
        del details, seen, idempotency_key
        return None

    def confirm_order(self, order: ErpOrder) -> Mapping[str, Request]:
        """Returns what confirms a draft, by name, in the order in which it is sent."""
        del order
        return {}

    def cancel_order(self, order: ErpOrder) -> Mapping[str, Request]:
        """Returns what cancels an order, by name, in the order in which it is sent."""
        del order
        return {}
