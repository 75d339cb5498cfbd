"""Orders in Tryton: sales of the web shop, known by their web id.

Belongs here: finding, creating, confirming and cancelling them, and reading many. Does
not belong here: who they are for (`tryton_parties`), what a record says
(`tryton_order_rows`).

`(web_shop, web_id)` is unique there, so a creation may be sent again and in parallel; a
cancelled sale gives its web id up before another one is made. A sale is quoted and then
confirmed; what Tryton would warn people of is passed over, for the customer has bought
already. Taxes of a line are those of the product: rules for a party's taxes work in
Tryton's own windows only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.erp.tryton_order_rows import (
    FIELDS,
    PLACED,
    given_up,
    placed_text,
    read_order,
    web_ids,
)
from commerce_pipelines.connectors.erp.tryton_parties import Buyers, phones
from commerce_pipelines.connectors.erp.tryton_products import OVERLAP
from commerce_pipelines.connectors.erp.tryton_records import Records, id_in
from commerce_pipelines.connectors.erp.tryton_shop import Shop, ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Domain, Row, aware
from commerce_pipelines.domain.orders import ErpOrder, PlacedOrder
from commerce_pipelines.errors import Conflict, NeedsPerson, NotFound, Refused

_MODEL: Final = "sale.sale"
_OPEN: Final = frozenset({"draft", "quotation"})


class Orders:
    """The sales of the shop's company.

    Args:
        records: The database.
        shops: The shop that sells.
        buyers: Finds or makes who an order is for.
    """

    def __init__(self, records: Records, shops: ShopReader, buyers: Buyers) -> None:
        self._records = records
        self._shops = shops
        self._buyers = buyers

    def find(self, reference: str) -> ErpOrder | None:
        """Fetches the order under a reference; None if there is none."""
        rows = self._under(reference)
        return self._read(rows[0]) if rows else None

    def create(self, order: PlacedOrder) -> ErpOrder:
        """Creates a draft once; see the port."""
        if (present := self._present(order)) is not None:
            return present
        values = self._values(order, self._shops.shop())
        made = self._records.create(_MODEL, values, FIELDS, self._context)
        if not isinstance(made, Refused):
            return self._read(made)
        # Another process was quicker, or it was ours whose answer was lost.
        if (present := self._present(order)) is not None:
            return present
        raise made

    def confirm(self, external_id: str) -> ErpOrder:
        """Quotes and confirms a draft; see the port."""
        number, order = self._known(external_id)
        for state, action in (("draft", "quote"), ("quotation", "confirm")):
            if order.status == state:
                order = self._act(number, action)
        if order.status == "cancelled":
            raise Conflict(f"The order {external_id} in Tryton is cancelled.")
        if order.status in _OPEN:
            raise Refused(f"Tryton left the order {external_id} as {order.status}.")
        return order

    def cancel(self, external_id: str) -> ErpOrder:
        """Cancels an order that is not confirmed; see the port."""
        number, order = self._known(external_id)
        if order.status in _OPEN:
            order = self._act(number, "cancel")
        if order.status != "cancelled":
            raise NeedsPerson(
                f"The order {external_id} in Tryton is {order.status} and cannot be cancelled "
                "any more; stop its shipment and its invoice there."
            )
        return order

    def changed(self, since: datetime) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders that changed since a moment; see the port."""
        aware(since)
        shop = self._shops.shop()
        domain: Domain = [("company", "=", shop.company)]
        rows = self._records.changes(_MODEL, domain, FIELDS, since - OVERLAP, self._context)
        return (read_order(row, shop) for row in rows)

    def placed(
        self, placed_from: datetime, placed_until: datetime
    ) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders that were placed in a time; see the port."""
        aware(placed_from)
        aware(placed_until)
        shop = self._shops.shop()
        ours = [
            ("description", ">=", placed_text(placed_from)),
            ("description", "<", placed_text(placed_until)),
        ]
        others = [
            ["OR", ("description", "=", None), ("description", "not like", f"{PLACED}%")],
            ("create_date", ">=", placed_from),
            ("create_date", "<", placed_until),
        ]
        domain: Domain = [("company", "=", shop.company), ["OR", ours, others]]
        rows = self._records.read(_MODEL, domain, FIELDS, self._context)
        return (read_order(row, shop) for row in rows)

    @property
    def _context(self) -> dict[str, Any]:
        return self._shops.shop().unattended

    def _under(self, reference: str) -> list[Row]:
        """Returns the sales under a reference, the one that counts first."""
        shop = self._shops.shop()
        rows = self._search([("web_shop", "=", shop.id), web_ids(reference)])
        return sorted(rows, key=lambda row: (row["state"] == "cancelled", row["id"]))

    def _present(self, order: PlacedOrder) -> ErpOrder | None:
        """Returns the order that is there and not cancelled; makes room for it otherwise.

        Raises:
            Conflict: It has other lines or another currency.
        """
        rows = self._under(order.id)
        if rows and rows[0]["state"] != "cancelled":
            return _same(self._read(rows[0]), order)
        for row in rows:
            if row["web_id"] == order.id:
                self._give_up(row)
        return None

    def _give_up(self, row: Row) -> None:
        values = {"web_id": given_up(row)}
        done = self._records.change(
            _MODEL, row["id"], values, ["web_id"], self._context, repeatable=True
        )
        if isinstance(done, Refused):
            raise done

    def _search(self, domain: Domain) -> list[Row]:
        return self._records.search(_MODEL, domain, FIELDS, self._context)

    def _read(self, row: Row) -> ErpOrder:
        order = read_order(row, self._shops.shop())
        if isinstance(order, RejectedRecord):
            raise Refused(f"Tryton's {order.external_id} cannot be read: {order.reason}.")
        return order

    def _known(self, external_id: str) -> tuple[int, ErpOrder]:
        number = id_in(external_id)
        rows = self._search([("id", "=", number)]) if number is not None else []
        if number is None or not rows:
            raise NotFound(f"Tryton has no order {external_id}.")
        return number, self._read(rows[0])

    def _act(self, number: int, action: str) -> ErpOrder:
        done = self._records.act(_MODEL, number, action, FIELDS, self._context)
        if isinstance(done, Refused):
            raise done
        return self._read(done)

    def _values(self, order: PlacedOrder, shop: Shop) -> Row:
        if (currency := shop.currencies.get(order.currency_code)) is None:
            raise Refused(f"Tryton knows no currency {order.currency_code}.")
        lines = self._lines(order)
        party = self._buyers.party(order)
        shipping = self._buyers.address(party, order.shipping_address)
        same = order.billing_address == order.shipping_address
        billing = shipping if same else self._buyers.address(party, order.billing_address)
        told = [order.email, *phones(order.shipping_address, order.billing_address)]
        return {
            "company": shop.company,
            "web_shop": shop.id,
            "web_id": order.id,
            "reference": order.id,
            "party": party,
            "shipment_address": shipping,
            "invoice_address": billing,
            "warehouse": shop.warehouses[0],
            "currency": currency,
            "description": placed_text(order.placed_at),
            "comment": "\n".join(told),
            "invoice_method": "order",
            "shipment_method": "order",
            "lines": [["create", lines]],
        }

    def _lines(self, order: PlacedOrder) -> list[Row]:
        variants = self._variants(order)
        lines = []
        for line in order.lines:
            if (variant := variants.get(line.external_id)) is None:
                raise Refused(f"Tryton does not sell the variant {line.external_id}.")
            lines.append(
                {
                    "product": variant["id"],
                    "unit": variant["sale_uom"],
                    "quantity": line.quantity,
                    "unit_price": line.unit_price,
                    "description": line.title,
                    "taxes": [["add", _taxes(variant)]],
                }
            )
        return lines

    def _variants(self, order: PlacedOrder) -> dict[str, Row]:
        ids = [number for line in order.lines if (number := id_in(line.external_id)) is not None]
        domain: Domain = [("id", "in", sorted(set(ids))), ("salable", "=", True)]
        fields = ["sale_uom", "account_category.customer_taxes_used"]
        context = self._shops.shop().context
        return {
            str(row["id"]): row
            for row in self._records.read("product.product", domain, fields, context)
        }


def _taxes(variant: Row) -> list[int]:
    category = variant["account_category"]
    return list(category["customer_taxes_used"]) if category else []


def _same(present: ErpOrder, order: PlacedOrder) -> ErpOrder:
    """Returns the order that is there if it is the one that was to be made.

    Raises:
        Conflict: It has other lines or another currency.
    """
    theirs = sorted((each.variant, each.quantity, each.unit_price) for each in present.lines)
    ours = sorted((each.external_id, each.quantity, each.unit_price) for each in order.lines)
    if (present.currency_code, theirs) != (order.currency_code, ours):
        raise Conflict(f"Tryton has another order under {order.id}: {present.external_id}.")
    return present
