"""The ERP's products into the store: one saga a page.

    where we were ──► page ──► page ──► … ──► all read
                      upsert products, how far we read
                      (undo: delete, restore, read again)

A sync reads what changed since the last one; all of it the first time, when it is
asked to, and when the last one had to leave something. Pages that are in stay in: an
interrupted sync is gone on with by the next one. What fails it: the ERP not answering;
products that another saga holds for longer than a page is tried. What only rejects a
product: a fault in it, a SKU or id that another product has, a parked saga that holds
it. Nothing must not run beside it: one page is at work at a time, and pages of the PIM
take turns with it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.erp.port import Erp, ProductPage
from commerce_pipelines.domain.erp_feed import feed_page
from commerce_pipelines.domain.feed import FeedRow, Rejected
from commerce_pipelines.domain.ownership import ERP
from commerce_pipelines.errors import Busy
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps, TransactionalStep, Undo
from commerce_pipelines.store import price_questions, watermarks
from commerce_pipelines.store.catalog_import import upsert_products
from commerce_pipelines.store.catalog_sharing import announce_changed_documents
from commerce_pipelines.store.catalog_undo import undo_products

KIND = "erp_product_sync"
LOCK_KEY = "erp_products"
WATERMARK = "erp_products"
# While an import of the PIM holds products, for its documents are being written.
MOST_TRIES = 10
PAUSE_SECONDS = 3.0
# So many rejections are kept word by word.
MOST_TOLD = 100
_COUNTED_AS = {"create": "created", "update": "updated"}


@dataclass
class Synced:
    """What a sync did.

    Attributes:
        counts: created, updated, unchanged, rejected, and how many pages.
        rejected: `{external_id, field, reason}`, the first ones.
        since: From when on changes were read; None for all.
        left_to_another: Another sync was at work, and goes on.
    """

    since: datetime | None
    counts: Counter[str] = field(default_factory=Counter)
    rejected: list[JSON] = field(default_factory=list)
    left_to_another: bool = False

    def add(self, result: JSON) -> None:
        """Adds what a page did."""
        names = ("created", "updated", "unchanged", "rejected", "left")
        self.counts.update({"pages": 1, **{name: result[name] for name in names}})
        self.rejected += result["rejections"][: MOST_TOLD - len(self.rejected)]


@dataclass(frozen=True)
class StorePage(TransactionalStep):
    """Upserts a page of the ERP's products and notes how far it was read.

    Attributes:
        rows: The products; an undo needs none.
        reached: How far they reach.
    """

    name = "store.upsert_erp_products"
    rows: Sequence[FeedRow] = ()
    reached: datetime | None = None

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Upserts; returns the counts, and what was rejected and why."""
        imported, refused = upsert_products(connection, saga_id, ERP, self.rows)
        counts = Counter(_COUNTED_AS.get(row.action, "unchanged") for row in imported)
        rejections = _told(plan["ids"], refused)
        noted = self.reached and watermarks.advance(connection, WATERMARK, self.reached)
        if rejections:
            watermarks.add_to_total(connection, WATERMARK, len(rejections))
        return {
            **{name: counts[name] for name in ("created", "updated", "unchanged")},
            "left": len(rejections),
            "rejections": rejections,
            "watermark": noted,
        }

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Deletes the created products, restores the changed ones, and has them read again."""
        del plan
        undone = undo_products(connection, saga_id)
        if result["watermark"]:
            watermarks.take_back(connection, WATERMARK, result["watermark"])
        changed = result["created"] + result["updated"]
        return Undo(superseded=0 < changed == undone.superseded, report=asdict(undone))


@dataclass(frozen=True)
class ErpProductSync:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        erp: The ERP.
        run_id: Who is working.
        sleep: Waits; an argument for tests.
    """

    ledger: Ledger
    erp: Erp
    run_id: str
    sleep: Callable[[float], object] = time.sleep

    def find_start(self, *, whole: bool = False) -> datetime | None:
        """Returns from when on changes are to be read; None for all.

        Args:
            whole: Read all in any case.
        """
        with self.ledger.engine.connect() as connection:
            known = watermarks.load_watermark(connection, WATERMARK)
        return None if whole or known is None or known.total > 0 else known.at

    def sync(
        self, since: datetime | None, tell: Callable[[JSON], object] = lambda _: None
    ) -> Synced:
        """Takes page by page into the store, unless another sync is at work.

        Args:
            since: From when on changes are read; None for all.
            tell: Told what each page did.

        Raises:
            Busy: Products are held by others for too long.
        """
        synced = Synced(since)
        left_before = self._count_left()
        for page in self.erp.fetch_products(since):
            result = self.store_page(page)
            if result is None:
                synced.left_to_another = True
                return synced
            synced.add(result)
            tell(result)
        if since is None and left_before:
            with self.ledger.engine.begin() as connection:
                watermarks.add_to_total(connection, WATERMARK, -left_before)
        with self.ledger.engine.begin() as connection:
            # So that the sensor of the price book sees at once what is new.
            price_questions.track_variants(connection)
        return synced

    def store_page(self, page: ProductPage) -> JSON | None:
        """Takes one page into the store.

        Returns:
            The counts, and what was rejected and why; None if another sync is at work.
        """
        ids = [product.external_id for product in page.products]
        rows, rejected = feed_page(page.products)
        saga_id = self._open()
        if saga_id is None:
            return None
        with Saga.joined(self.ledger, saga_id, self.run_id) as saga:
            result = self._take(saga, StorePage(rows, page.reached), {"ids": ids})
            saga.succeed(lambda connection: announce_changed_documents(connection, saga_id))
        unusable = [asdict(each) | {"field": ""} for each in page.rejected]
        rejections = [*unusable, *_told(ids, rejected), *result["rejections"]]
        return {**result, "rejected": len(rejections), "rejections": rejections}

    def _open(self) -> str | None:
        saga_id = f"{KIND}-{uuid4().hex}"
        try:
            with self.ledger.engine.begin() as connection:
                self.ledger.begin(
                    connection, saga_id=saga_id, kind=KIND, lock_key=LOCK_KEY, run_id=self.run_id
                )
        except Busy:
            return None
        return saga_id

    def _take(self, saga: Saga, step: StorePage, plan: JSON) -> JSON:
        """Takes the step; waits while others hold its products."""
        for _ in range(MOST_TRIES - 1):
            try:
                return saga.take(step, plan)
            except Busy:
                self.sleep(PAUSE_SECONDS)
        return saga.take(step, plan)

    def _count_left(self) -> int:
        with self.ledger.engine.connect() as connection:
            known = watermarks.load_watermark(connection, WATERMARK)
        return known.total if known else 0


def steps() -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    return {StorePage.name: StorePage()}


def _told(ids: Sequence[str], rejected: Sequence[Rejected]) -> list[JSON]:
    return [
        {"external_id": ids[each.position], "field": each.field, "reason": each.reason}
        for _, each in rejected
    ]
