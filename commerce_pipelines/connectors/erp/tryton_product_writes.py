"""Changing a product in Tryton.

Belongs here: what is sent for the details that are wanted, in one atomic request.
Does not belong here: what of a record is which detail (`tryton_products`).

Tryton's REST interface knows no revision, so what is there is compared with what was seen
right before it is written; a change between the two is overwritten. Titles of variants
are what Tryton makes of their attributes and are not written. Warnings are for people who
sit in front of Tryton; nobody does, so they are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from commerce_pipelines.connectors.erp.tryton_attributes import Attributes
from commerce_pipelines.connectors.erp.tryton_products import (
    ProductReader,
    description_of,
    in_order,
    read_product,
)
from commerce_pipelines.connectors.erp.tryton_records import Records, id_in
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Row
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.errors import Conflict, NotFound, Refused

MODEL: Final = "product.template"


class ProductWriter:
    """Changes products.

    Args:
        records: The database.
        shops: The shop that sells.
        reader: Reads products.
    """

    def __init__(self, records: Records, shops: ShopReader, reader: ProductReader) -> None:
        self._records = records
        self._shops = shops
        self._reader = reader

    def write(self, external_id: str, details: ErpDetails, seen: ErpProduct) -> ErpProduct:
        """Changes a product if it still is as it was seen; see the port."""
        number = id_in(external_id)
        rows = self._reader.rows([number]) if number is not None else []
        if not rows or number is None:
            raise NotFound(f"Tryton has no product {external_id}.")
        attributes = self._reader.attributes()
        (row,) = rows
        current = self._read(row, attributes)
        if _is_wanted(current, details):
            return current
        if without_titles(current.details) != without_titles(seen.details):
            raise Conflict(f"Tryton's product {external_id} has changed since it was seen.")
        return self._send(number, _Changes(row, attributes).to(details), attributes)

    def _send(self, number: int, values: Row, attributes: Attributes) -> ErpProduct:
        context = self._shops.shop().unattended
        written = self._records.change(MODEL, number, values, self._reader.fields, context)
        if isinstance(written, Refused):
            raise written
        return self._read(written, attributes)

    def _read(self, row: Row, attributes: Attributes) -> ErpProduct:
        try:
            return read_product(row, attributes)
        except ValueError as error:
            raise Refused(f"Tryton's product {row['id']} {error}.") from error


class _Changes:
    """What leads from a template as it is to other details.

    Args:
        row: The template.
        attributes: What options are made of.
    """

    def __init__(self, row: Row, attributes: Attributes) -> None:
        self._row = row
        self._attributes = attributes
        self._variants = in_order(row["products"] or [])
        self._described = description_of([each for each in self._variants if each["active"]])

    def to(self, details: ErpDetails) -> Row:
        """Returns the values to write.

        Raises:
            Refused: Tryton has no place for them.
        """
        commands: list[list[Any]] = []
        left = {each["id"]: each for each in self._variants}
        for wanted in details.variants:
            row = self._row_of(wanted, left)
            if row is None:
                commands.append(["create", [self._added(wanted, details)]])
            else:
                del left[row["id"]]
                commands += self._changed(row, wanted, details)
        if gone := [each["id"] for each in left.values() if each["active"]]:
            # Codes are unique among what is sold, so the room is made first.
            commands.insert(0, ["write", gone, {"active": False}])
        return {"name": details.title, "products": commands}

    def _row_of(self, wanted: ErpVariant, left: dict[int, Row]) -> Row | None:
        if wanted.external_id is not None:
            number = id_in(wanted.external_id)
            if number not in left:
                raise Refused(f"The product in Tryton has no variant {wanted.external_id}.")
            return left[number]
        # One that was added and removed before comes back instead of a second one.
        return next(
            (
                each
                for each in left.values()
                if not each["active"] and wanted.sku is not None and each["code"] == wanted.sku
            ),
            None,
        )

    def _added(self, wanted: ErpVariant, details: ErpDetails) -> Row:
        return {
            "suffix_code": self._ending(wanted.sku),
            "description": details.description,
            **self._options(wanted, ()),
        }

    def _changed(self, row: Row, wanted: ErpVariant, details: ErpDetails) -> list[list[Any]]:
        values = self._options(wanted, self._attributes.options(row.get("attributes")))
        if row["code"] != wanted.sku:
            values["suffix_code"] = self._ending(wanted.sku)
        # Variants with a description of their own keep it.
        shares = (row["description"] or None) == self._described
        if shares and self._described != (details.description or None):
            values["description"] = details.description
        # What is deactivated cannot be changed, so it comes back first.
        revived = [] if row["active"] else [["write", [row["id"]], {"active": True}]]
        return [*revived, *([["write", [row["id"]], values]] if values else [])]

    def _options(self, wanted: ErpVariant, present: Sequence[tuple[str, str]]) -> Row:
        if dict(wanted.options) == dict(present):
            return {}
        values = self._attributes.values(wanted.options, self._row.get("attribute_set"))
        return {"attributes": values}

    def _ending(self, sku: str | None) -> str | None:
        """Returns what of a SKU is the variant's own.

        Raises:
            Refused: It does not begin with the product's code.
        """
        prefix = self._row["code"] or ""
        if sku is None:
            return None
        if not sku.startswith(prefix):
            raise Refused(f"SKUs of this product in Tryton begin with {prefix!r}.")
        return sku.removeprefix(prefix) or None


def _is_wanted(current: ErpProduct, wanted: ErpDetails) -> bool:
    """Tells whether a product has these details already, titles of variants aside."""
    present = current.details
    if (present.title, present.description) != (wanted.title, wanted.description or None):
        return False
    asked = {each.external_id for each in wanted.variants} - {None}
    theirs = sorted(_comparable(each, asked) for each in present.variants)
    return theirs == sorted(_comparable(each, asked) for each in wanted.variants)


def _comparable(variant: ErpVariant, asked: set[str | None]) -> tuple[str, str, list[Any]]:
    known = variant.external_id if variant.external_id in asked else ""
    return (known or "", variant.sku or "", sorted(variant.options))


def without_titles(details: ErpDetails) -> ErpDetails:
    """Returns details without what Tryton makes itself."""
    variants = tuple(replace(each, title="") for each in details.variants)
    return replace(details, variants=variants)
