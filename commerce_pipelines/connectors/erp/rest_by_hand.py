"""The reference contract's requests for a person to send; see `by_hand`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from commerce_pipelines.connectors.erp.by_hand import ByHand, Request
from commerce_pipelines.connectors.erp.rest_requests import (
    details_body,
    order_path,
    product_path,
    write_headers,
)
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.orders import ErpOrder

_KEY: Final = {"Authorization": "Bearer $ERP_API_KEY"}


class RestByHand(ByHand):
    """The requests of an ERP behind our reference contract.

    Args:
        url: Its base address.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def write_product(self, details: ErpDetails, seen: ErpProduct, idempotency_key: str) -> Request:
        """Returns what changes a product that still is at the revision that was seen."""
        headers = {
            **_KEY,
            "Content-Type": "application/json",
            **write_headers(seen, idempotency_key),
        }
        url = self._url + product_path(seen.external_id)
        return Request("PUT", url, headers, details_body(details))

    def confirm_order(self, order: ErpOrder) -> Mapping[str, Request]:
        """Returns what confirms a draft."""
        return self._move(order, "confirm")

    def cancel_order(self, order: ErpOrder) -> Mapping[str, Request]:
        """Returns what cancels an order."""
        return self._move(order, "cancel")

    def _move(self, order: ErpOrder, action: str) -> dict[str, Request]:
        url = f"{self._url}{order_path(order.external_id)}/{action}"
        return {action: Request("POST", url, _KEY)}
