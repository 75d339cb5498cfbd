"""Orders as they are in the store, and which order of the ERP each one is.

Belongs here: reading orders, and linking one to the ERP's. Does not belong here: placing
them (the checkout does), and what becomes of their status (`order_statuses`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, TextClause, text

from commerce_pipelines.domain.orders import Address, OrderLine, OrderStatus, PlacedOrder
from commerce_pipelines.domain.stored_orders import (
    OrderSync,
    StoredOrder,
    StoredOrderLine,
    SyncState,
)
from commerce_pipelines.errors import Busy, Conflict
from commerce_pipelines.store.announcements import ORDERS, SOURCE

SYSTEM: Final = "erp"
ENTITY: Final = "order"
PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order with what is known of it in the ERP.

    Attributes:
        external_id: Its id there; None until it was exported.
    """

    order: PlacedOrder
    status: OrderStatus
    external_id: str | None


class OrderFacts(NamedTuple):
    """What a reconciliation compares of an order."""

    id: str
    external_id: str | None
    currency_code: str
    total_minor: int
    status: str
    placed_at: datetime
    erp_changed_at: datetime | None


def load_order(connection: Connection, order_id: str) -> KnownOrder | None:
    """Returns an order whole, as the ERP has to get it; None if there is none."""
    row = connection.execute(_ORDER, {"id": order_id}).mappings().one_or_none()
    if row is None:
        return None
    known = dict(row)
    external_id, status = known.pop("erp_id"), OrderStatus(known["status"])
    addresses = {
        name: Address.model_validate(known[name])
        for name in ("shipping_address", "billing_address")
    }
    kept = {name: known[name] for name in PlacedOrder.__dataclass_fields__ if name in known}
    lines = tuple(OrderLine(**line) for line in _lines(connection, order_id))
    order = PlacedOrder(**{**kept, **addresses, "lines": lines})
    return KnownOrder(order, status, external_id)


def show_order(connection: Connection, order_id: str) -> StoredOrder | None:
    """Returns an order as readers see it; None if there is none."""
    row = connection.execute(_ORDER, {"id": order_id}).mappings().one_or_none()
    if row is None:
        return None
    lines = [StoredOrderLine.model_validate(line) for line in _lines(connection, order_id)]
    return StoredOrder.model_validate({**row, "lines": lines, "sync": _sync(row)})


def orders_between(
    connection: Connection, placed_from: datetime, placed_until: datetime
) -> list[OrderFacts]:
    """Returns what is compared of the orders placed in a span, its end not included.

    All at once, for a day of a hundred thousand orders fits into memory.
    """
    return _facts(connection, _BETWEEN, {"from": placed_from, "until": placed_until})


def orders_known_as(
    connection: Connection, external_ids: list[str], references: list[str]
) -> list[OrderFacts]:
    """Returns what is compared of orders placed at any time, by the ERP's ids or by ours."""
    names = {"external_ids": external_ids, "references": references}
    return _facts(connection, _KNOWN_AS, names)


def _facts(
    connection: Connection, statement: TextClause, names: Mapping[str, Any]
) -> list[OrderFacts]:
    """Returns orders with their ids in the ERP.

    Not joined: with statistics from before a large import, each would be held against each.
    """
    rows = connection.execute(statement, names).all()
    links = connection.execute(_LINKS_OF, {"ids": [row.id for row in rows]})
    known = {link.internal_id: link.external_id for link in links}
    return [OrderFacts(row.id, known.get(row.id), *row[1:]) for row in rows]


def link_order(connection: Connection, saga_id: str, order_id: str, external_id: str) -> bool:
    """Notes which order of the ERP an order is; tells whether that is news.

    Raises:
        Conflict: That order of the ERP is another one of ours, or ours is another one there.
    """
    names = {"external_id": external_id, "order": order_id, "saga": saga_id}
    is_new = connection.execute(_LINK, names).rowcount > 0
    linked = [tuple(row) for row in connection.execute(_LINKED, names)]
    if linked != [(external_id, order_id)]:
        raise Conflict(f"The ERP's {external_id} cannot be {order_id}: {linked} are known.")
    connection.execute(_CONFIRM_RESERVATION, names)
    return is_new


def unlink_order(connection: Connection, saga_id: str, order_id: str) -> bool:
    """Forgets what `link_order` noted for a saga; tells whether it was still so."""
    names = {"saga": saga_id, "order": order_id}
    connection.execute(UNCONFIRM_RESERVATION, names)
    return connection.execute(UNLINK, names).rowcount > 0


def is_exported_by_another(
    connection: Connection, kind: str, order_id: str, saga_id: str, external_id: str
) -> bool:
    """Tells whether an order of the ERP is what another saga has exported.

    Args:
        connection: The store.
        kind: Of the sagas that export.
        order_id: Our order.
        saga_id: The saga that asks.
        external_id: The order in the ERP.

    Raises:
        Busy: Another saga is exporting it just now.
    """
    names = {"kind": kind, "order": order_id, "saga": saga_id, "external_id": external_id}
    row = connection.execute(_EXPORTED_BY_ANOTHER, names).one()
    if row.under_way:
        raise Busy(f"Order {order_id} is being exported again.")
    return bool(row.is_known)


def _lines(connection: Connection, order_id: str) -> Iterator[dict[str, Any]]:
    for row in connection.execute(_LINES, {"id": order_id}).mappings():
        yield dict(row)


def _sync(row: Any) -> OrderSync:
    if row["erp_id"] is not None:
        return OrderSync(state=SyncState.EXPORTED, reason=None)
    if row["saga_status"] == "parked":
        return OrderSync(state=SyncState.PARKED, reason=row["saga_reason"])
    if row["message_state"] == "dead":
        return OrderSync(state=SyncState.FAILED, reason=row["last_error"])
    if row["status"] == OrderStatus.CANCELLED:
        return OrderSync(state=SyncState.NOT_NEEDED, reason=None)
    return OrderSync(state=SyncState.WAITING, reason=row["last_error"])


_LINK_OF: Final = f"""
    LEFT JOIN external_id link ON link.internal_id = store_order.id
        AND link.system = '{SYSTEM}' AND link.entity = '{ENTITY}'"""

_ORDER: Final = text(f"""
    SELECT store_order.*, link.external_id AS erp_id, message.state AS message_state,
           message.last_error, saga.status AS saga_status, saga.reason AS saga_reason
    FROM store_order {_LINK_OF}
    LEFT JOIN message ON message.source = '{SOURCE}' AND message.webhook_id = store_order.id
        AND message.topic = '{ORDERS}'
    LEFT JOIN saga ON saga.saga_id = message.saga_id
    WHERE store_order.id = :id""")

_LINES: Final = text("""
    SELECT position, variant_id, external_id, sku, title, quantity, unit_price, total_minor
    FROM order_line WHERE order_id = :id ORDER BY position""")

_FACTS: Final = """
    SELECT id, currency_code, total_minor, status, placed_at, erp_changed_at FROM store_order"""

_LINKS_OF: Final = text(f"""
    SELECT internal_id, external_id FROM external_id
    WHERE internal_id = ANY (:ids) AND system = '{SYSTEM}' AND entity = '{ENTITY}'""")

_BETWEEN: Final = text(f"""{_FACTS} WHERE placed_at >= :from AND placed_at < :until""")

_KNOWN_AS: Final = text(f"""
    {_FACTS} WHERE id = ANY (CAST(:references AS text[]))
        OR id IN (
            SELECT internal_id FROM external_id
            WHERE system = '{SYSTEM}' AND entity = '{ENTITY}'
              AND external_id = ANY (CAST(:external_ids AS text[])))""")

_LINK: Final = text(f"""
    INSERT INTO external_id (system, entity, external_id, internal_id, saga_id)
    VALUES ('{SYSTEM}', '{ENTITY}', :external_id, :order, :saga)
    ON CONFLICT (system, entity, external_id) DO NOTHING""")

_LINKED: Final = text(f"""
    SELECT external_id, internal_id FROM external_id
    WHERE system = '{SYSTEM}' AND entity = '{ENTITY}'
      AND (external_id = :external_id OR internal_id = :order)""")

_EXPORTED_BY_ANOTHER: Final = text(f"""
    SELECT EXISTS (SELECT FROM saga WHERE kind = :kind AND lock_key = :order
                     AND saga_id <> :saga AND status IN ('running', 'aborting', 'parked'))
               AS under_way,
           EXISTS (SELECT FROM external_id WHERE system = '{SYSTEM}' AND entity = '{ENTITY}'
                     AND external_id = :external_id AND internal_id = :order
                     AND saga_id IS DISTINCT FROM :saga) AS is_known""")

UNLINK: Final = text(f"""
    DELETE FROM external_id WHERE system = '{SYSTEM}' AND entity = '{ENTITY}'
        AND internal_id = :order AND saga_id = :saga""")

# From here on a later word of the ERP on its stock counts the order itself.
_CONFIRM_RESERVATION: Final = text("""
    UPDATE reservation SET confirmed_at = now()
    WHERE order_id = :order AND confirmed_at IS NULL AND released_at IS NULL""")

UNCONFIRM_RESERVATION: Final = text(f"""
    UPDATE reservation SET confirmed_at = NULL
    WHERE order_id = :order AND released_at IS NULL AND EXISTS (
        SELECT FROM external_id WHERE system = '{SYSTEM}' AND entity = '{ENTITY}'
          AND internal_id = :order AND saga_id = :saga)""")
