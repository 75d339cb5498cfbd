"""Products in Tryton: templates with their variants.

Belongs here: reading them, one, or by their changes. Does not belong here: changing
them (`tryton_product_writes`).

A template is a product, its record's id the external id; so is a `product.product` a
variant, whose code is the SKU. A title is the template's name. Templates have no
description: it is the first variant's. Variants have no titles: what tells them apart are
their attributes, which are our options, or else what their code ends in.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from commerce_pipelines.connectors.erp.port import ProductPage, RejectedRecord
from commerce_pipelines.connectors.erp.tryton_attributes import Attributes, read_attributes
from commerce_pipelines.connectors.erp.tryton_records import MOST_IDS, Records, id_in
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Row, aware
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.errors import Refused

# A change has the time at which its transaction began, and is seen when that commits.
OVERLAP: Final = timedelta(minutes=10)

_VARIANT: Final = ("code", "suffix_code", "active", "description", "last_modified_at")
_FIELDS: Final = (
    *("name", "code", "active", "salable", "last_modified_at"),
    *(f"products.{field}" for field in _VARIANT),
)
_WITH_ATTRIBUTES: Final = (*_FIELDS, "attribute_set", "products.attributes")


class ProductReader:
    """Reads products.

    Args:
        records: The database.
        shops: The shop that sells.
    """

    def __init__(self, records: Records, shops: ShopReader) -> None:
        self._records = records
        self._shops = shops

    @property
    def fields(self) -> Sequence[str]:
        """Returns what is asked of a template."""
        return _WITH_ATTRIBUTES if self._shops.shop().attributes else _FIELDS

    def rows(self, ids: Sequence[int]) -> list[Row]:
        """Fetches templates with all their variants, deactivated ones too."""
        shop = self._shops.shop()
        domain = [("id", "in", list(ids))]
        return self._records.search("product.template", domain, self.fields, shop.everything)

    def attributes(self) -> Attributes:
        """Fetches the attributes that options are made of."""
        return read_attributes(self._records, self._shops)

    def find(self, external_id: str) -> ErpProduct | None:
        """Fetches one product; None if there is none."""
        number = id_in(external_id)
        rows = self.rows([number]) if number is not None else []
        try:
            return read_product(rows[0], self.attributes()) if rows else None
        except ValueError as error:
            raise Refused(f"Tryton's product {external_id} {error}.") from error

    def changed(self, since: datetime | None) -> Iterator[ProductPage]:
        """Fetches what changed since a moment; see the port."""
        since = aware(since)
        first = None if since is None else since - OVERLAP
        attributes = self.attributes()
        known: dict[int, datetime] = {}
        for ids, reached in self._batches(first, known):
            page = [_read(row, attributes) for row in self.rows(ids)]
            products = tuple(each for each in page if isinstance(each, ErpProduct))
            rejected = tuple(each for each in page if isinstance(each, RejectedRecord))
            known.update((int(each.external_id), each.changed_at) for each in products)
            # A clock there that was once ahead must not carry the cursor past what comes.
            yield ProductPage(products, rejected, min(reached, datetime.now(UTC)))

    def _batches(
        self, first: datetime | None, known: dict[int, datetime]
    ) -> Iterator[tuple[list[int], datetime]]:
        """Yields ids of templates that changed, and the moment that was reached with them."""
        batch: dict[int, None] = {}
        reached = None
        for reached, template in self._changes(first):
            if template not in known or known[template] < reached:
                batch[template] = None
            if len(batch) == MOST_IDS:
                yield list(batch), reached
                batch.clear()
        if batch and reached is not None:
            yield list(batch), reached

    def _changes(self, first: datetime | None) -> Iterator[tuple[datetime, int]]:
        """Yields changes of templates and of variants, oldest first, as moment and template."""
        context = self._shops.shop().everything
        templates = self._records.changes("product.template", [], ["id"], first, context)
        variants = self._records.changes("product.product", [], ["template"], first, context)
        yield from heapq.merge(
            ((row["last_modified_at"], row["id"]) for row in templates),
            ((row["last_modified_at"], row["template"]) for row in variants),
        )


def read_product(row: Row, attributes: Attributes) -> ErpProduct:
    """Reads a template with its variants.

    Raises:
        ValueError: It is no product.
    """
    try:
        variants = in_order(row["products"] or [])
        on_sale = [each for each in variants if each["active"]]
        moments = [row["last_modified_at"], *(each["last_modified_at"] for each in variants)]
        details = ErpDetails(
            title=_named(row["name"]),
            description=description_of(on_sale),
            variants=tuple(_variant(each, attributes) for each in on_sale),
        )
        return ErpProduct(
            external_id=str(row["id"]),
            details=details,
            is_active=bool(row["active"] and row["salable"]),
            changed_at=max(moment.astimezone(UTC) for moment in moments),
            revision=None,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"cannot be read ({type(error).__name__})") from error


def in_order(variants: Sequence[Row]) -> list[Row]:
    """Returns variants in an order that no change of them moves."""
    return sorted(variants, key=lambda each: int(each["id"]))


def description_of(variants: Sequence[Row]) -> str | None:
    """Returns the description of the first variant."""
    return (variants[0]["description"] or None) if variants else None


def _variant(row: Row, attributes: Attributes) -> ErpVariant:
    options = attributes.options(row.get("attributes"))
    ending = str(row["suffix_code"] or "").strip("-_ ./")
    title = " / ".join(value for _, value in options) or ending or str(row["code"] or "")
    return ErpVariant(str(row["id"]), row["code"], title, options)


def _named(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ValueError("has no name")
    return name


def _read(row: Row, attributes: Attributes) -> ErpProduct | RejectedRecord:
    try:
        return read_product(row, attributes)
    except ValueError as error:
        return RejectedRecord(str(row["id"]), str(error))
