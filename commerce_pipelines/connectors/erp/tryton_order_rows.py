"""What Tryton's sales say.

Belongs here: reading a sale as an order. Does not belong here: asking for it
(`tryton_orders`).

Tryton keeps the day of a sale only, so our orders carry their moment in the description.
A web id is unique there, also that of a cancelled sale: to make room for another one,
words are put behind it. A total is without taxes: those are Tryton's, and the store knows
none. A sale whose goods have left says `shipped`, the rest is Tryton's own state.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.erp.tryton_shop import Shop
from commerce_pipelines.connectors.erp.tryton_wire import Row
from commerce_pipelines.domain.orders import ErpOrder, ErpOrderLine

FIELDS: Final = (
    *("number", "web_id", "web_shop", "state", "shipment_state", "currency", "untaxed_amount"),
    *("description", "create_date", "last_modified_at"),
    *("lines.type", "lines.product", "lines.quantity", "lines.unit_price"),
)
PLACED: Final = "Web order placed "
_GIVEN_UP: Final = " given up by sale "


def placed_text(moment: datetime) -> str:
    """Returns the description of an order; in the order of their moments."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{PLACED}{text.removesuffix('+00:00')}Z"


def web_ids(reference: str) -> list[object]:
    """Returns the domain of all sales under a reference of ours, given up or not."""
    escaped = reference.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return ["OR", ("web_id", "=", reference), ("web_id", "like", f"{escaped}{_GIVEN_UP}%")]


def given_up(row: Row) -> str:
    """Returns the web id with which a sale makes room for another one."""
    return f"{row['web_id']}{_GIVEN_UP}{row['id']}"


def read_order(row: Row, shop: Shop) -> ErpOrder | RejectedRecord:
    """Reads a sale; one that is no order comes back with the reason."""
    try:
        return ErpOrder(
            external_id=str(row["id"]),
            number=row["number"],
            reference=_reference(row) if row["web_shop"] == shop.id else None,
            status=_status(row),
            currency_code=shop.currency_code(row["currency"]),
            total=Decimal(row["untaxed_amount"]),
            placed_at=_placed_at(row),
            changed_at=row["last_modified_at"].astimezone(UTC),
            lines=tuple(_line(each) for each in row["lines"] or [] if each["product"]),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        return RejectedRecord(str(row["id"]), f"sale {error}")


def _reference(row: Row) -> str:
    return str(row["web_id"]).partition(_GIVEN_UP)[0]


def _status(row: Row) -> str:
    if row["state"] == "processing" and row["shipment_state"] == "sent":
        return "shipped"
    return str(row["state"])


def _placed_at(row: Row) -> datetime:
    description = row["description"] or ""
    if description.startswith(PLACED):
        try:
            return datetime.fromisoformat(description.removeprefix(PLACED)).astimezone(UTC)
        except ValueError:
            pass
    moment: datetime = row["create_date"]
    return moment.astimezone(UTC)


def _line(row: Row) -> ErpOrderLine:
    exact = Decimal(str(row["quantity"]))
    if exact != exact.to_integral_value():
        raise ValueError("has a line with a part of a unit")
    return ErpOrderLine(str(row["product"]), int(exact), Decimal(row["unit_price"]))
