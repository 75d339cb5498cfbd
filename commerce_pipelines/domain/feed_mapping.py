"""Other people's columns as a product's fields.

Belongs here: which column of a file is which field, and what a flat row's price
means. Does not belong here: reading files, and whether a product is a good one
(`catalog`): what cannot be understood stays as it is and is rejected there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from commerce_pipelines.domain.catalog import Product
from commerce_pipelines.domain.money import currency_code
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import InvalidInput

METADATA = "metadata."
MOST_COLUMNS = 1_000

_ALIASES = {
    "external_id": ["id"],
    "title": ["name"],
    "description": ["body_html", "body"],
    "brand": ["vendor", "manufacturer"],
    "images": ["image", "thumbnail"],
    "currency_code": ["currency"],
}
_TARGETS = [*Product.model_fields, "price", "currency_code"]
_NAMES = {target: [target, *_ALIASES.get(target, [])] for target in _TARGETS}
_NESTED = ("options", "variants", "images", "metadata")
_BETWEEN_ADDRESSES = re.compile(r"[\s|]+")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class MappedRow:
    """One row as a product.

    Attributes:
        product: What is imported; a row that is no object stays as it is.
        price_left_out: It has a price, but nobody says in which currency.
    """

    product: Any
    price_left_out: bool = False


@dataclass(frozen=True)
class FeedMapping:
    """Which column is which field.

    Attributes:
        sources: The column of a field, where it is not named like the field or an alias of
            it; an empty name leaves the field out.
        currency: Of prices whose row does not say.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None

    @classmethod
    def parse(cls, pairs: Sequence[str], currency: str | None) -> FeedMapping:
        """Reads `target=source` pairs and a currency as a person types them.

        Raises:
            InvalidInput: A pair or the currency is none.
        """
        try:
            return cls(dict(map(_pair, pairs)), currency_code(currency) if currency else None)
        except ValueError as error:
            raise InvalidInput(f"The currency {error}.") from error

    def apply(self, row: Any) -> MappedRow:
        """Returns a row as a product."""
        if not isinstance(row, dict):
            return MappedRow(row)
        product = self._pick(row)
        for name in _NESTED:
            if isinstance(product.get(name), str):
                product[name] = _unfold(name, product[name])
        self._add_metadata(product, row)
        price, currency = product.pop("price", None), product.pop("currency_code", None)
        if price is None or product.get("variants"):
            return MappedRow(product)
        currency = currency or self.currency
        if currency is None:
            return MappedRow(product, price_left_out=True)
        variant = {"prices": [{"amount": price, "currency_code": currency}]}
        product["variants"] = [{**variant, **_part_of(product, "sku")}]
        return MappedRow(product)

    def unused(self, columns: Iterable[str]) -> list[str]:
        """Returns the columns that become no field."""
        known = {name for names in _NAMES.values() for name in names}
        mapped = set(self.sources.values())
        return sorted(name for name in columns if _fold(name) not in known and name not in mapped)

    def check(self, columns: Iterable[str]) -> None:
        """Checks that the columns that were named are there.

        Raises:
            InvalidInput: One is not.
        """
        missing = sorted({name for name in self.sources.values() if name} - set(columns))
        if missing:
            raise InvalidInput(
                f"The file has no column {missing[0]!r}, or it is empty throughout; see --map."
            )

    def _pick(self, row: dict[str, Any]) -> dict[str, Any]:
        folded = {_fold(name): value for name, value in row.items()}
        picked: dict[str, Any] = {}
        for target, names in _NAMES.items():
            if target in self.sources:
                picked.update(_part_of(row, self.sources[target], target))
                continue
            for name in names:
                if name in folded:
                    picked[target] = folded[name]
                    break
        return picked

    def _add_metadata(self, product: dict[str, Any], row: dict[str, Any]) -> None:
        named = {
            target.removeprefix(METADATA): row[source]
            for target, source in self.sources.items()
            if target.startswith(METADATA) and source in row
        }
        there = product.get("metadata") or {}
        if named and isinstance(there, dict):
            product["metadata"] = {**there, **named}


def _pair(text: str) -> tuple[str, str]:
    target, equals, source = (part.strip() for part in text.partition("="))
    if not equals or not target:
        raise InvalidInput(f"{text!r} is no mapping; write target=source, as external_id=id.")
    if target not in _TARGETS and not (target.startswith(METADATA) and target != METADATA):
        fields = ", ".join(_TARGETS)
        raise InvalidInput(f"There is no field {target!r}; there are {fields}, metadata.NAME.")
    return target, source


def _part_of(row: Mapping[str, Any], name: str, called: str | None = None) -> dict[str, Any]:
    return {called or name: row[name]} if name in row else {}


def _unfold(name: str, text: str) -> Any:
    """Returns what a cell holds; text that cannot be read stays, to be rejected with its place."""
    text = text.strip()
    if name == "images" and not text.startswith("["):
        return [address for address in _BETWEEN_ADDRESSES.split(text) if address]
    try:
        return loads(text)
    except InvalidInput:
        return text


@lru_cache(maxsize=10 * MOST_COLUMNS)
def _fold(name: str) -> str:
    """Returns a column's name as the fields are written: `Body (HTML)` is body_html."""
    return _NOT_A_WORD.sub("_", name.lower()).strip("_")
