"""A product file into the inbox: checked whole, then stored in parts that can be resumed.

    examine ──► open_delivery ──► store ──► wait
    reads all   the same one      parts     until all
    of it once  as last time      missing   are finished

A file that is broken anywhere is refused before anything of it is stored. The
delivery's id is made from what will be imported, so an import that was
interrupted goes on where it stopped. Importing a finished file once more opens
a new delivery; its products are found unchanged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from commerce_pipelines.connectors.feed_files import FeedFormat, read_rows
from commerce_pipelines.domain.catalog import Product, Rejection, parse_product
from commerce_pipelines.domain.feed import FeedItem, merge
from commerce_pipelines.domain.feed_mapping import MOST_COLUMNS, FeedMapping
from commerce_pipelines.domain.strict_json import check_depth, loads
from commerce_pipelines.errors import InvalidInput
from commerce_pipelines.services.intake import MOST_PART_CHARS, MOST_PART_PRODUCTS
from commerce_pipelines.services.pim_import import TOPIC
from commerce_pipelines.store import deliveries
from commerce_pipelines.store.deliveries import Counts, DeliveryName, Progress
from commerce_pipelines.store.messages import Part

MOST_PARTS_AHEAD = 50
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Contents:
    """What is in a file.

    Attributes:
        digest: Of the products as they will be imported; the same for the same content.
        prices_left_out: Rows with a price but without a currency.
        unused_columns: Columns that become no field of a product.
    """

    products: int
    parts: int
    digest: str
    prices_left_out: int
    unused_columns: list[str]


class FeedFile:
    """A product file with a mapping of its columns.

    Args:
        path: A regular file; it is read several times.
        format_: Its format.
        mapping: Which column is which field.
    """

    def __init__(self, path: Path, format_: FeedFormat, mapping: FeedMapping) -> None:
        self._path = path
        self._format = format_
        self._mapping = mapping

    def parts(self) -> Iterator[Part]:
        """Yields the products in parts of a size that is worked on at once."""
        rows = read_rows(self._path, self._format)
        return cut_into_parts(self._mapping.apply(row).product for row in rows)

    def examine(self, on_read: Callable[[int], None] = lambda products: None) -> Contents:
        """Reads the whole file and tells what is in it.

        Args:
            on_read: Called with the number of products read so far.

        Raises:
            InvalidInput: The file is broken, or lacks a column that was named.
        """
        columns: set[str] = set()
        left_out = products = parts = 0
        digest = sha256()

        def mapped() -> Iterator[Any]:
            nonlocal left_out
            for row in read_rows(self._path, self._format):
                if isinstance(row, dict) and len(columns) < MOST_COLUMNS:
                    columns.update(row)
                result = self._mapping.apply(row)
                left_out += result.price_left_out
                yield result.product

        for part in cut_into_parts(mapped()):
            parts, products = parts + 1, products + part.item_count
            digest.update(part.body)
            on_read(products)
        if not products:
            raise InvalidInput(f"{self._path.name} holds no products.")
        self._mapping.check(columns)
        unused = self._mapping.unused(columns)
        return Contents(products, parts, digest.hexdigest(), left_out, unused)

    def reject(self) -> Iterator[Rejection]:
        """Yields what an import would reject by the description alone, with no store to ask."""
        position = 0
        for part in self.parts():
            yield from _reject_part(loads(part.body), position)
            position += part.item_count


def cut_into_parts(products: Iterable[Any]) -> Iterator[Part]:
    """Yields JSON arrays of products that are neither too many nor too large together."""
    texts: list[bytes] = []
    size = 0
    for product in products:
        text = _dump(product)
        if texts and (len(texts) == MOST_PART_PRODUCTS or size + len(text) > MOST_PART_CHARS):
            yield _part(texts)
            texts, size = [], 0
        texts.append(text)
        size += len(text)
    if texts:
        yield _part(texts)


@dataclass(frozen=True)
class FileDelivery:
    """One import of a file.

    Attributes:
        stored_before: How many of its parts an earlier, interrupted import has stored.
    """

    engine: Engine
    name: DeliveryName
    stored_before: int

    @classmethod
    def open(cls, engine: Engine, source: str, contents: Contents) -> FileDelivery:
        """Returns the delivery that this content still has to finish, or a new one."""
        with engine.connect() as connection:
            last = deliveries.newest_delivery(connection, source, contents.digest)
        if last is None or last.over:
            webhook_id = _next_id(contents.digest, last.webhook_id if last else None)
            return cls(engine, DeliveryName(source, webhook_id, contents.parts), 0)
        return cls(engine, DeliveryName(source, last.webhook_id, last.parts), last.stored)

    def store(self, parts: Iterable[Part]) -> Iterator[int]:
        """Stores the parts that are missing, a transaction each, and yields the number of each.

        Raises:
            InvalidInput: The file has grown since it was examined.
        """
        with self.engine.connect() as connection:
            stored = deliveries.stored_parts(connection, self.name)
        for number, part in enumerate(parts):
            if number >= self.name.parts:
                raise InvalidInput("The file was changed while it was imported; import it again.")
            if number not in stored:
                with self.engine.begin() as connection:
                    deliveries.store_part(connection, self.name, TOPIC, number, part)
            yield number

    def follow(
        self, parts: Iterable[Part], *, wait: bool, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[Progress]:
        """Stores the missing parts and follows all of them until they are finished.

        Args:
            parts: All parts of the file.
            wait: Whether to wait for them at all; else they are only stored.
            sleep: Waits; an argument for tests.

        Yields:
            How far it has come, after each part and each look.

        Raises:
            InvalidInput: The file has grown since it was examined.
        """
        for _ in self.store(parts):
            yield (now := self.progress())
            while wait and now.unfinished_parts >= MOST_PARTS_AHEAD:
                sleep(POLL_SECONDS)
                yield (now := self.progress())
        while wait and (now := self.progress()).unfinished_parts:
            yield now
            sleep(POLL_SECONDS)
        yield self.progress()

    def progress(self) -> Progress:
        """Returns how far the stored parts have come."""
        with self.engine.connect() as connection:
            return deliveries.progress_of(connection, self.name)

    def counts(self) -> Counts:
        """Returns what became of the products so far."""
        with self.engine.connect() as connection:
            return deliveries.count_outcomes(connection, self.name)

    def refusals(self) -> Iterator[dict[str, Any]]:
        """Yields what was not taken, with its position in the file."""
        with self.engine.connect() as connection:
            yield from deliveries.iterate_refusals(connection, self.name)


def _next_id(digest: str, last: str | None) -> str:
    if last is None:
        return digest
    number = int(last.partition(":")[2] or 1)
    return f"{digest}:{number + 1}"


def _part(texts: list[bytes]) -> Part:
    return Part(b"[%b]" % b",".join(texts), item_count=len(texts))


def _dump(product: Any) -> bytes:
    try:
        check_depth([product])
        text = json.dumps(product, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except InvalidInput:
        # Would make its whole part unreadable: this is rejected alone.
        return b'"nested too deeply"'
    except UnicodeEncodeError:
        # Half a character cannot be written: escaped, it is rejected with its product alone.
        return json.dumps(product, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Returns a number, a moment or bytes as JSON has them; digits are never lost."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date) else str(value)


def _reject_part(payloads: list[Any], position: int) -> Iterator[Rejection]:
    told = [parse_product(payload, position + at) for at, payload in enumerate(payloads)]
    items = [
        FeedItem(0, position + at, product)
        for at, product in enumerate(told)
        if isinstance(product, Product)
    ]
    _, contradicting = merge(items)
    bad = [one for one in told if isinstance(one, Rejection)]
    yield from sorted([*bad, *(one.rejection for one in contradicting)], key=lambda r: r.position)
