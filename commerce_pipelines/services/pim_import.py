"""The PIM's products into the store, then into Sanity's documents: one saga a page.

    open_page ──► store_page ──► publish_page
    messages      upsert products   write documents
                  (undo: delete,    (undo: delete,
                   restore)          restore our fields)

A page is as many waiting messages as fit into `MOST_PRODUCTS`. Another kind of page
brings nothing new: it takes the products of a renamed brand whose documents are not as
they would be now, and writes those. What fails a page:
Sanity not answering, a product in the hands of another saga; its messages come
again. What only rejects a product: a fault in its description, or Sanity
refusing its document. Nothing must not run beside it: pages take turns in the
store, and a product belongs to one unfinished saga at a time.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.connectors.sanity_errors import DocumentsConflict, DocumentsRefused
from commerce_pipelines.connectors.sanity_mutations import pack
from commerce_pipelines.domain.catalog import Product, Rejection, parse_product, products_of
from commerce_pipelines.domain.feed import FeedItem, Rejected, merge
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import Busy, InvalidInput, TransientError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps
from commerce_pipelines.services.document_steps import MOST_ATTEMPTS, WriteDocuments
from commerce_pipelines.services.product_documents import (
    WantedDocument,
    planned_write,
    wanted_document,
)
from commerce_pipelines.services.product_steps import Page, UpsertProducts, WithdrawProducts
from commerce_pipelines.store import message_claims, messages
from commerce_pipelines.store.announcements import DOCUMENTS
from commerce_pipelines.store.documents import (
    DocumentState,
    load_changed_contents,
    save_documents,
)

KIND = "pim_import"
TOPIC = "products"
# What the PIM has sent comes first; then products whose documents may show an old brand name.
TOPICS = (TOPIC, DOCUMENTS)
MOST_PRODUCTS = 5_000
# What one run takes on; the next one goes on from there.
MOST_PAGES = 200


def deliver(connection: Connection, source: str, webhook_id: str, products: list[Any]) -> None:
    """Puts a list of products into the inbox as one message."""
    body = json.dumps(products, ensure_ascii=False).encode()
    part = messages.Part(body, item_count=len(products))
    messages.receive(connection, source, webhook_id, TOPIC, [part])


def count_pages(connection: Connection) -> int:
    """Returns about how many pages the waiting messages fill, for one run at most."""
    pages = sum(
        message_claims.count_pages(connection, topic, most_items=MOST_PRODUCTS) for topic in TOPICS
    )
    return min(pages, MOST_PAGES)


@dataclass(frozen=True)
class OpenPage:
    """A page whose messages are claimed by a new saga."""

    saga_id: str
    message_ids: list[int]


@dataclass(frozen=True)
class PimImport:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        sanity: The CMS.
        run_id: Who is working.
    """

    ledger: Ledger
    sanity: Sanity
    run_id: str

    def open_page(self) -> OpenPage | None:
        """Claims the next waiting messages for a new saga; None when nothing waits."""
        saga_id = f"{KIND}-{uuid4().hex}"
        with self.ledger.engine.begin() as connection:
            claimed = self._claim(connection, saga_id)
            if not claimed:
                return None
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=saga_id, run_id=self.run_id
            )
        return OpenPage(saga_id, claimed)

    def store_page(self, opened: OpenPage) -> JSON:
        """Upserts the page's products into the store; returns the counts."""
        with self._saga(opened.saga_id) as saga, _uncollected():
            page = self._read_page(opened.saga_id)
            products = len(page.rows) + sum(map(len, page.looked_at.values()))
            plan: JSON = {"messages": opened.message_ids, "products": products}
            return saga.take(UpsertProducts(page), plan)

    def publish_page(self, saga_id: str, *, is_tried_again: bool = False) -> JSON:
        """Writes the documents of what changed and ends the saga; returns the counts.

        Args:
            saga_id: The page's saga.
            is_tried_again: Whether the caller comes back after an error that may pass; the saga
                is then kept, and what is in doubt is sent again under the same plan.
        """
        with self._saga(saga_id, is_tried_again=is_tried_again) as saga:
            written = self._write_documents(saga)
            saga.succeed(lambda connection: _record(connection, saga_id, written))
        return {
            "written": sum(document.mutated for document in written),
            "unchanged": sum(not document.mutated for document in written),
        }

    def _saga(self, saga_id: str, *, is_tried_again: bool = False) -> AbstractContextManager[Saga]:
        """Joins the saga; what goes wrong inside marks it, and its messages, as failed."""
        return Saga.joined(
            self.ledger,
            saga_id,
            self.run_id,
            on_failure=lambda error: messages.failed(saga_id, error),
            is_kept=lambda error: is_tried_again and isinstance(error, TransientError),
        )

    def _claim(self, connection: Connection, saga_id: str) -> list[int]:
        for topic in TOPICS:
            claimed = message_claims.claim_page(
                connection,
                topic=topic,
                saga_id=saga_id,
                run_id=self.run_id,
                most_items=MOST_PRODUCTS,
            )
            if claimed:
                return claimed
        return []

    def _read_page(self, saga_id: str) -> Page:
        with self.ledger.engine.begin() as connection:
            claimed = messages.load_claimed(connection, saga_id)
            if any(message.topic == DOCUMENTS for message in claimed):
                return Page(looked_at={one.id: loads(one.body) for one in claimed})
            lists = {message.id: _read_list(connection, message) for message in claimed}
        parsed = [
            (message_id, parse_product(payload, position))
            for message_id, payloads in lists.items()
            for position, payload in enumerate(payloads)
        ]
        items = [
            FeedItem(id_, position, product)
            for id_, group in groupby(parsed, key=itemgetter(0))
            for position, (_, product) in enumerate(group)
            if isinstance(product, Product)
        ]
        bad = [Rejected(id_, fault) for id_, fault in parsed if isinstance(fault, Rejection)]
        rows, contradicting = merge(items)
        lengths = {id_: len(payloads) for id_, payloads in lists.items()}
        return Page(rows, [*bad, *contradicting], lengths)

    def _write_documents(self, saga: Saga) -> list[Document]:
        with self.ledger.engine.connect() as connection:
            contents = load_changed_contents(connection, saga.saga_id)
            known = [(wanted_document(content), content.content_hash) for content in contents]
        unchanged = [Document(wanted) for wanted, hash_ in known if wanted.content_hash == hash_]
        changed = {
            wanted.document_id: wanted for wanted, hash_ in known if wanted.content_hash != hash_
        }
        written: list[Document] = []
        sizes = ((id_, {**doc.feed_fields, **doc.seeded_fields}) for id_, doc in changed.items())
        for number, group in enumerate(pack(sizes)):
            pack_ = [changed[mutation.document_id] for mutation in group]
            written += self._write_pack(saga, pack_, str(number))
        return unchanged + written

    def _write_pack(
        self, saga: Saga, wanted: Sequence[WantedDocument], label: str
    ) -> list[Document]:
        """Writes one transaction; halves it where Sanity refuses it, to find the bad document."""
        try:
            return self._write_fresh(saga, wanted, label)
        except DocumentsRefused as refusal:
            if len(wanted) == 1:
                plan: JSON = {"product_id": wanted[0].product_id, "reason": str(refusal)}
                saga.take(WithdrawProducts(), plan, label)
                return []
            half = len(wanted) // 2
            first = self._write_pack(saga, wanted[:half], f"{label}.0")
            return first + self._write_pack(saga, wanted[half:], f"{label}.1")

    def _write_fresh(
        self, saga: Saga, wanted: Sequence[WantedDocument], label: str
    ) -> list[Document]:
        """Writes over what is there now, and reads again where an editor was faster."""
        for attempt in range(MOST_ATTEMPTS):
            try:
                result = saga.take(
                    WriteDocuments(self.sanity), lambda: self._plan(wanted), f"{label}~{attempt}"
                )
                return [Document(document, result["revision"]) for document in wanted]
            except DocumentsConflict as conflict:
                last = conflict
        raise Busy(f"Editors keep changing these documents: {last}") from last

    def _plan(self, wanted: Sequence[WantedDocument]) -> JSON:
        current = self.sanity.fetch_documents(document.document_id for document in wanted)
        return {"documents": [planned_write(doc, current.get(doc.document_id)) for doc in wanted]}


@dataclass(frozen=True)
class Document:
    """A wanted document that is there.

    Attributes:
        revision: The transaction that wrote it now; None when it was as wanted before.
    """

    wanted: WantedDocument
    revision: str | None = None

    @property
    def mutated(self) -> bool:
        """Tells whether this saga wrote it."""
        return self.revision is not None


def steps(sanity: Sanity) -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    return {
        UpsertProducts.name: UpsertProducts(),
        WriteDocuments.name: WriteDocuments(sanity),
        WithdrawProducts.name: WithdrawProducts(),
    }


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leaves garbage uncollected for the length of a page.

    A page's objects have no cycles and all live until its end; looking through them again
    and again for garbage took half of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _read_list(connection: Connection, message: messages.Claimed) -> list[Any]:
    """Returns a message's list; one that cannot be read is dead, not lost."""
    try:
        return products_of(loads(message.body))
    except InvalidInput as error:
        messages.bury(connection, message.id, str(error))
        return []


def _record(connection: Connection, saga_id: str, documents: Sequence[Document]) -> None:
    save_documents(
        connection,
        [
            DocumentState(
                product_id=document.wanted.product_id,
                document_id=document.wanted.document_id,
                content_hash=document.wanted.content_hash,
                product_version=document.wanted.version,
                revision=document.revision,
            )
            for document in documents
        ],
    )
    messages.finish(connection, saga_id)
