"""Asking the ERP which orders changed, for updates that were never delivered.

What is news about an order of ours becomes a message, as if it had been delivered; so
it is applied, or put before a person, in one place. Does not belong here: applying
(`order_status_import`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from sqlalchemy import Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.order_updates import as_update
from commerce_pipelines.domain.orders import ErpOrder
from commerce_pipelines.services.order_status_import import TOPIC, part_of
from commerce_pipelines.store import messages, watermarks
from commerce_pipelines.store.order_statuses import news_among

SOURCE: Final = "erp-poll"
WATERMARK: Final = "erp_orders"
FIRST_DAYS: Final = 7
PAGE: Final = 1_000


def poll_orders(engine: Engine, erp: Erp) -> int:
    """Puts what is news into the inbox, and notes how far it was read; returns how many.

    The ERP's adapter goes back behind the last moment as far as it must, so what comes
    twice is told apart by its id and time.
    """
    with engine.connect() as connection:
        known = watermarks.load_watermark(connection, WATERMARK)
    since = known.at if known else datetime.now(UTC) - timedelta(days=FIRST_DAYS)
    changed = (each for each in erp.fetch_changed_orders(since) if isinstance(each, ErpOrder))
    return sum(_put(engine, page) for page in _pages(changed))


def _pages(orders: Iterator[ErpOrder]) -> Iterator[list[ErpOrder]]:
    while page := list(islice(orders, PAGE)):
        yield page


def _put(engine: Engine, page: list[ErpOrder]) -> int:
    """Stores a page's news; orders come in the order of their change, so it is read until then."""
    with engine.begin() as connection:
        keys = [(each.external_id, each.reference, each.changed_at) for each in page]
        news = news_among(connection, keys)
        wanted = [each for each in page if each.external_id in news]
        for order in wanted:
            webhook_id = f"{order.external_id}:{order.changed_at.isoformat()}"
            messages.receive(connection, SOURCE, webhook_id, TOPIC, [part_of(as_update(order))])
        watermarks.advance(connection, WATERMARK, max(each.changed_at for each in page))
    return len(wanted)
