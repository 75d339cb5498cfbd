"""What the ERP says of its orders, as it is delivered.

    {"type": "order.updated", "order": {"id": …, "reference": …, "status": …, "changed_at": …}}
    {"type": "order.updated", "orders": [{…}, …]}

An order may be the whole one of the reference contract; what else it holds is not read.
Does not belong here: what becomes of it (`services/order_status_import`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from commerce_pipelines.domain.orders import STATUS_OF, ErpOrder, OrderStatus
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import InvalidInput

CHANGED: Final = "order.updated"
MOST_ORDERS: Final = 1_000
LONGEST_TEXT: Final = 255


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """A word of the ERP on one order.

    Attributes:
        external_id: Its id there.
        reference: Our order's id, if it is said.
        word: The ERP's word for its status.
        changed_at: When it was last changed there, aware.
    """

    external_id: str
    reference: str | None
    word: str
    changed_at: datetime

    @property
    def status(self) -> OrderStatus | None:
        """Returns what the word means; None for one that we do not know."""
        return STATUS_OF.get(self.word)


def orders_of(body: bytes) -> list[dict[str, Any]]:
    """Returns the orders that a delivery is about, each as it came.

    Raises:
        InvalidInput: It is about none.
    """
    change = loads(body)
    if not isinstance(change, dict) or change.get("type") != CHANGED:
        raise InvalidInput(f'It has no "type": "{CHANGED}".')
    orders = [change["order"]] if "order" in change else change.get("orders")
    if not isinstance(orders, list) or not all(isinstance(each, dict) for each in orders):
        raise InvalidInput('It has neither an "order" nor a list of "orders".')
    if not 0 < len(orders) <= MOST_ORDERS:
        raise InvalidInput(f"It is about {len(orders)} orders; 1 to {MOST_ORDERS} are taken.")
    return orders


def read_update(order: dict[str, Any]) -> OrderUpdate:
    """Returns what is said of one order.

    Raises:
        InvalidInput: Something is missing, or is not what it should be.
    """
    reference = order.get("reference")
    return OrderUpdate(
        external_id=_text(order, "external_id" if "external_id" in order else "id"),
        reference=None if reference is None else _text(order, "reference"),
        word=_text(order, "status"),
        changed_at=_moment(order.get("changed_at")),
    )


def as_update(order: ErpOrder) -> dict[str, Any]:
    """Returns what is said of an order, as it is delivered."""
    return {
        "id": order.external_id,
        "reference": order.reference,
        "status": order.status,
        "changed_at": order.changed_at.isoformat(),
    }


def _text(order: dict[str, Any], name: str) -> str:
    value = order.get(name)
    # The store takes no NUL and no half character.
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or "\0" in value:
        raise InvalidInput(f'"{name}" is no text of 1 to {LONGEST_TEXT} characters.')
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidInput(f'"{name}" holds half a character.')
    return value


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput('"changed_at" is no moment with its zone (RFC 3339).')
