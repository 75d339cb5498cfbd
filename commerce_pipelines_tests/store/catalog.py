"""Importing and undoing pages in a test, and looking at what the store holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from commerce_pipelines.domain.feed import FeedItem, Rejected, merge
from commerce_pipelines.store.catalog_import import ImportedRow, upsert_products
from commerce_pipelines.store.catalog_undo import UndoneProducts, undo_products
from commerce_pipelines_tests.factories import Payload, feed_items

CATALOG_TABLES = ("product", "product_option", "variant", "price", "brand", "external_id")
_MOVING = "- 'updated_at' - 'version'"


@dataclass(frozen=True)
class Imported:
    """What became of a page."""

    saga_id: str
    rows: list[ImportedRow]
    rejected: list[Rejected]

    @property
    def actions(self) -> list[str]:
        """What was done with each product, in order."""
        return [row.action for row in self.rows]

    @property
    def product_ids(self) -> list[str]:
        """The id of each product, in order."""
        return [row.product_id for row in self.rows]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Field and reason of each rejection."""
        return [(each.rejection.field, each.rejection.reason) for each in self.rejected]


@dataclass
class Catalog:
    """A store's catalogue, each page of it a saga of its own that has ended."""

    engine: Engine
    _pages: int = field(default=0)

    def take(self, *payloads: Payload, message_id: int | None = None) -> Imported:
        """Imports a page, newer than those before if not told otherwise."""
        self._pages += 1
        message = self._pages if message_id is None else message_id
        return self.take_items(feed_items(payloads, message), f"saga-{self._pages}")

    def take_items(self, items: list[FeedItem], saga_id: str) -> Imported:
        """Imports a page for a saga."""
        rows, contradicting = merge(items)
        with self.engine.begin() as connection:
            imported, rejected = upsert_products(connection, saga_id, "pim", rows)
        return Imported(saga_id, imported, [*contradicting, *rejected])

    def undo(self, page: Imported, product_ids: list[str] | None = None) -> UndoneProducts:
        """Takes a page back."""
        with self.engine.begin() as connection:
            return undo_products(connection, page.saga_id, product_ids)

    def hold(self, saga_id: str, status: str) -> None:
        """Gives the products of a page into the hands of a saga in this state."""
        with self.engine.begin() as connection:
            connection.execute(
                text("""
                    INSERT INTO saga (saga_id, kind, lock_key, status)
                    VALUES (:id, 'pim_import', :id, :status)"""),
                {"id": saga_id, "status": status},
            )

    def rows(self, query: str, **names: object) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), names)]

    def values(self, query: str, **names: object) -> list[Any]:
        """Returns the first column of a query."""
        return [row[0] for row in self.rows(query, **names)]

    def execute(self, script: str) -> None:
        """Runs SQL as a person types it."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(script)

    def counts(self) -> dict[str, int]:
        """Returns how many rows each table has."""
        return {t: self.values(f"SELECT count(*) FROM {t}")[0] for t in CATALOG_TABLES}

    def dump(self) -> dict[str, Counter[str]]:
        """Returns all rows as text, but for `version` and `updated_at`."""
        return {
            table: Counter(self.values(f"SELECT (to_jsonb(r) {_MOVING})::text FROM {table} r"))
            for table in CATALOG_TABLES
        }

    def content(self) -> dict[str, Counter[str]]:
        """Returns all rows as text, but for what says who wrote them, when and from what."""
        origin = f"{_MOVING} - 'created_at' - 'saga_id' - 'message_id' - 'feed_hash' - 'erp_hash'"
        return {
            table: Counter(self.values(f"SELECT (to_jsonb(r) {origin})::text FROM {table} r"))
            for table in CATALOG_TABLES
        }

    def clear(self) -> None:
        """Empties it."""
        with self.engine.begin() as connection:
            connection.execute(
                text("TRUNCATE product, brand, external_id, product_revision CASCADE")
            )
