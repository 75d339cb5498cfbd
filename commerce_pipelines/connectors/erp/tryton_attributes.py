"""Attributes of variants in Tryton, which are our options.

Belongs here: an option's name and value as people read them, and as Tryton keeps them.
Does not belong here: which variant has which (`tryton_products`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.connectors.erp.tryton_records import Records
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Row
from commerce_pipelines.errors import Refused

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute.

    Attributes:
        name: Tryton's word for it.
        label: People's word.
        kind: `char`, `selection`, `integer`…
        choices: What people read for each value of a selection.
        sets: The attribute sets that it belongs to.
    """

    name: str
    label: str
    kind: str
    choices: Mapping[str, str]
    sets: frozenset[int]


class Attributes:
    """All attributes, as they were read once.

    Args:
        attributes: In the order in which people see them.
    """

    def __init__(self, attributes: Iterable[Attribute] = ()) -> None:
        self._by_name = {each.name: each for each in attributes}

    def options(self, values: Mapping[str, Any] | None) -> Options:
        """Returns the options of a variant."""
        found = values or {}
        known = [each for each in self._by_name.values() if found.get(each.name) is not None]
        return tuple((each.label, _text(each, found[each.name])) for each in known)

    def values(self, options: Sequence[tuple[str, str]], attribute_set: int | None) -> Row:
        """Returns options as Tryton keeps them.

        Raises:
            Refused: The product's attribute set has no such option, or not this value.
        """
        by_label = {
            each.label: each for each in self._by_name.values() if attribute_set in each.sets
        }
        kept: Row = {}
        for label, text in options:
            if (attribute := by_label.get(label)) is None:
                raise Refused(f"The product's attribute set in Tryton has no {label!r}.")
            kept[attribute.name] = _value(attribute, text)
        return kept


def read_attributes(records: Records, shops: ShopReader) -> Attributes:
    """Reads all attributes; none where Tryton's module for them is not there."""
    shop = shops.shop()
    if not shop.attributes:
        return Attributes()
    fields = ["name", "string", "type_", "selection", "sets"]
    rows = records.read("product.attribute", [], fields, shop.context)
    return Attributes(_attribute(row) for row in rows)


def _attribute(row: Row) -> Attribute:
    lines = [line.split(":", 1) for line in (row["selection"] or "").splitlines() if ":" in line]
    return Attribute(
        name=row["name"],
        label=row["string"],
        kind=row["type_"],
        choices={key.strip(): label.strip() for key, label in lines},
        sets=frozenset(row["sets"] or ()),
    )


def _text(attribute: Attribute, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(attribute, each) for each in value)
    return attribute.choices.get(value, value) if isinstance(value, str) else str(value)


def _value(attribute: Attribute, text: str) -> str:
    if attribute.kind == "char":
        return text
    for value, label in attribute.choices.items():
        if attribute.kind == "selection" and label == text:
            return value
    raise Refused(f"{attribute.label!r} in Tryton cannot be set to {text[:100]!r}.")
