"""Pieces that orders here hold until the ERP counts them.

    reserved at completion ──► released: the ERP's word on the stock counts the order
                                          (`stock_levels`), the order is cancelled, or
                                          its export was given up and the time is over

An order on its way to the ERP keeps its pieces however long that takes. Once the ERP
has confirmed it, only a later word on the stock lets them go: they are sold.

Belongs here: reserving and releasing. Does not belong here: what the ERP says of stock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.store.announcements import ORDERS

# So many reservations a statement: each locks a row of stock until the commit.
MOST_RELEASED = 1_000


def reserve(connection: Connection, quantities: Mapping[str, int]) -> dict[str, int]:
    """Takes pieces of several variants, all of them or none.

    Rows are locked in the order of the variants, as everybody does, so that nobody waits in
    a circle.

    Returns:
        The variants of which too few are left, with how many; empty when all were taken.
    """
    names = {"variants": list(quantities), "quantities": list(quantities.values())}
    return {row.variant_id: row.pieces for row in connection.execute(_RESERVE, names)}


def hold(
    connection: Connection, order_id: str, quantities: Mapping[str, int], minutes: int
) -> None:
    """Notes that an order holds the pieces that were just taken.

    Args:
        connection: The transaction that took them.
        order_id: An order that is there.
        quantities: By variant.
        minutes: After so long they are let go, if nothing is heard of the order any more.
    """
    names = {
        "order": order_id,
        "variants": list(quantities),
        "quantities": list(quantities.values()),
        "minutes": minutes,
    }
    connection.execute(_HOLD, names)


def release_order(connection: Connection, order_id: str) -> int:
    """Lets go of what a cancelled order holds; returns how many reservations that were."""
    return int(connection.execute(_RELEASE_ORDER, {"order": order_id}).scalar_one())


def count_expired(connection: Connection) -> int:
    """Returns how many reservations nobody waits for any more."""
    return int(connection.execute(_COUNT_EXPIRED).scalar_one())


def release_expired(connection: Connection, most: int = MOST_RELEASED) -> dict[str, int]:
    """Lets go of reservations that nobody waits for any more; returns the pieces by variant."""
    released = connection.execute(_RELEASE_EXPIRED, {"most": most})
    return {row.variant_id: row.quantity for row in released}


# Locked first: the numbers that the update sees are then those that were compared.
_RESERVE: Final = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:variants AS text[]), CAST(:quantities AS int[]))
            AS wanted (variant_id, quantity)),
    locked AS MATERIALIZED (
        SELECT variant_id, available - reserved AS pieces, allows_out_of_stock
        FROM stock_level WHERE variant_id = ANY (CAST(:variants AS text[]))
        ORDER BY variant_id FOR UPDATE),
    short AS (
        SELECT wanted.variant_id, greatest(coalesce(locked.pieces, 0), 0) AS pieces
        FROM wanted LEFT JOIN locked USING (variant_id)
        WHERE locked.variant_id IS NULL
           OR NOT locked.allows_out_of_stock AND locked.pieces < wanted.quantity),
    taken AS (
        UPDATE stock_level SET reserved = reserved + wanted.quantity FROM wanted
        WHERE stock_level.variant_id = wanted.variant_id AND NOT EXISTS (SELECT FROM short))
    SELECT variant_id, pieces FROM short ORDER BY variant_id""")

_HOLD: Final = text("""
    INSERT INTO reservation (order_id, variant_id, quantity, expires_at)
    SELECT :order, variant_id, quantity, now() + make_interval(mins => :minutes)
    FROM unnest(CAST(:variants AS text[]), CAST(:quantities AS int[]))
        AS held (variant_id, quantity)""")

# Rows of stock are locked before those of reservations, here and in `stock_levels`.
_RELEASED: Final = """
    kept_out AS MATERIALIZED (
        SELECT variant_id FROM stock_level WHERE variant_id IN (SELECT variant_id FROM due)
        ORDER BY variant_id FOR UPDATE),
    released AS (
        UPDATE reservation SET released_at = now() FROM due
        WHERE reservation.order_id = due.order_id AND reservation.variant_id = due.variant_id
          AND reservation.released_at IS NULL
          AND (SELECT count(*) FROM kept_out) >= 0
        RETURNING reservation.variant_id, reservation.quantity),
    freed AS (
        SELECT variant_id, sum(quantity) AS quantity FROM released GROUP BY variant_id),
    counted AS (
        UPDATE stock_level SET reserved = greatest(0, reserved - freed.quantity) FROM freed
        WHERE stock_level.variant_id = freed.variant_id)"""

_RELEASE_ORDER: Final = text(f"""
    WITH due AS (
        SELECT order_id, variant_id FROM reservation
        WHERE order_id = :order AND released_at IS NULL),
    {_RELEASED}
    SELECT count(*) FROM released""")

# An order that waits for its export, or is being exported, has a message that says so.
_EXPIRED: Final = f"""
    FROM reservation JOIN store_order ON store_order.id = reservation.order_id
    WHERE reservation.released_at IS NULL AND (
        store_order.status = 'cancelled'
        OR reservation.expires_at < now() AND reservation.confirmed_at IS NULL
           AND NOT EXISTS (
               SELECT FROM message
               WHERE message.source = 'store' AND message.webhook_id = store_order.id
                 AND message.topic = '{ORDERS}' AND message.state IN ('new', 'claimed')))"""

_COUNT_EXPIRED: Final = text(f"SELECT count(*) {_EXPIRED}")

_RELEASE_EXPIRED: Final = text(f"""
    WITH due AS (
        SELECT reservation.order_id, reservation.variant_id {_EXPIRED}
        ORDER BY reservation.variant_id LIMIT :most),
    {_RELEASED}
    SELECT variant_id, quantity FROM freed ORDER BY variant_id""")
