"""What a saga changed in the store's orders, beside how they are now, and SQL that undoes it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.store import order_statuses, orders
from commerce_pipelines.store.sql_script import inlined, quoted


def load_order_revisions(connection: Connection, saga_id: str, limit: int) -> list[dict[str, Any]]:
    """Returns the orders that a saga gave a status, and that are not undone yet.

    What the saga wrote is what is there now where `version_now` is `version_written`; `undo`
    says what an undo would do: restore or leave.
    """
    names = {"saga": saga_id, "limit": limit}
    return [dict(row) for row in connection.execute(_REVISIONS, names).mappings()]


def load_other_links(
    connection: Connection, order_id: str, external_id: str
) -> list[dict[str, str]]:
    """Returns what keeps an order of ours and one of the ERP from being known as the same."""
    names = {"order": order_id, "external_id": external_id}
    return [dict(row) for row in connection.execute(_OTHER_LINKS, names).mappings()]


def statuses_script(saga_id: str) -> str:
    """Returns SQL that takes back the statuses that a saga applied, as its undo does."""
    return inlined(order_statuses.RESTORE_STATUSES, {"saga": quoted(saga_id)}) + ";\n"


def note_script(saga_id: str, order_id: str) -> str:
    """Returns SQL that takes back what a saga noted of an exported order, as its undo does."""
    names = {"saga": quoted(saga_id), "order": quoted(order_id)}
    statements = (
        order_statuses.RESTORE_STATUSES,
        orders.UNCONFIRM_RESERVATION,
        orders.UNLINK,
    )
    body = ";\n".join(inlined(statement, names) for statement in statements)
    return f"BEGIN;\n{body};\nCOMMIT;\n"


def other_links_script(order_id: str, external_id: str) -> str:
    """Returns SQL that forgets what `load_other_links` finds."""
    names = {"order": quoted(order_id), "external_id": quoted(external_id)}
    return inlined(_FORGET_OTHER_LINKS, names) + ";\n"


_REVISIONS: Final = text("""
    SELECT revision.order_id AS id, revision.before, revision.version AS version_written,
           store_order.version AS version_now,
           CASE WHEN store_order.version = revision.version THEN 'restore' ELSE 'leave' END
               AS undo,
           jsonb_build_object(
               'status', status, 'erp_status', erp_status, 'erp_changed_at', erp_changed_at,
               'saga_id', store_order.saga_id) AS now
    FROM order_revision revision JOIN store_order ON store_order.id = revision.order_id
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL
    ORDER BY revision.order_id LIMIT :limit""")

_OTHERS: Final = f"""FROM external_id
    WHERE system = '{orders.SYSTEM}' AND entity = '{orders.ENTITY}'
      AND (external_id = :external_id) <> (internal_id = :order)"""

_OTHER_LINKS: Final = text(f"SELECT external_id, internal_id AS order_id {_OTHERS} ORDER BY 1")

_FORGET_OTHER_LINKS: Final = text(f"DELETE {_OTHERS}")
