"""Tryton's requests for a person to send; see `by_hand`.

Of orders only: Tryton refuses no change of a product because of somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from commerce_pipelines.connectors.erp.by_hand import ByHand, Request
from commerce_pipelines.connectors.erp.tryton_records import context_header, path_of
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.domain.orders import ErpOrder

_CONFIRMING: Final = {"draft": ("quote", "confirm"), "quotation": ("confirm",)}


class TrytonByHand(ByHand):
    """The requests of a database of Tryton.

    Args:
        url: Its base address, with the database.
        shops: The shop that sells.
    """

    def __init__(self, url: str, shops: ShopReader) -> None:
        self._url = url
        self._shops = shops

    def confirm_order(self, order: ErpOrder) -> Mapping[str, Request]:
        """Returns what quotes and confirms a sale."""
        actions = _CONFIRMING.get(order.status, ())
        return {action: self._act(order, action) for action in actions}

    def cancel_order(self, order: ErpOrder) -> Mapping[str, Request]:
        """Returns what cancels a sale."""
        return {"cancel": self._act(order, "cancel")}

    def _act(self, order: ErpOrder, action: str) -> Request:
        headers = {
            "Authorization": "bearer $ERP_API_KEY",
            "Content-Type": "application/json",
            **context_header(self._shops.shop().unattended),
        }
        url = f"{self._url}{path_of('sale.sale')}/{order.external_id}/{action}?f=state"
        return Request("POST", url, headers, {})
