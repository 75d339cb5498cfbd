"""Which column is which field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines.domain.feed_mapping import FeedMapping
from commerce_pipelines.errors import InvalidInput


def product(row: Any, *pairs: str, currency: str | None = None) -> Any:
    return FeedMapping.parse(pairs, currency).apply(row).product


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": 1, "name": "Mug"}, {"external_id": 1, "title": "Mug"}),
        ({"id": 1, "external_id": "a"}, {"external_id": "a"}),
        ({"Body (HTML)": "x", "Vendor": "Kiln"}, {"description": "x", "brand": "Kiln"}),
        ({"TITLE": "Mug", "SKU": "M"}, {"title": "Mug", "sku": "M"}),
        ({"manufacturer": None}, {"brand": None}),
        ({"thumbnail": "https://a/1"}, {"images": ["https://a/1"]}),
        ({"thumbnail": "https://a/1", "images": []}, {"images": []}),
        ({"images": "a/1|a/2  a/3 | a/4"}, {"images": ["a/1", "a/2", "a/3", "a/4"]}),
        ({"images": '["https://a/1"]'}, {"images": ["https://a/1"]}),
        ({"variants": '[{"sku": "M"}]'}, {"variants": [{"sku": "M"}]}),
        ({"variants": "not JSON"}, {"variants": "not JSON"}),
        ({"rating": 5}, {}),
        ("no object", "no object"),
    ],
)  # fmt: skip
def test_columns_are_known_by_name_and_alias(row: Any, expected: Any) -> None:
    assert product(row) == expected


def test_a_mapping_goes_before_names_and_aliases() -> None:
    row = {"title": "shown", "label": "told", "id": 1, "sku": "M"}

    assert product(row, "title=label", "external_id=sku") == {
        "title": "told",
        "external_id": "M",
        "sku": "M",
    }


def test_a_mapping_without_a_source_leaves_the_field_out() -> None:
    assert product({"title": "Mug", "status": "active"}, "status=") == {"title": "Mug"}


def test_columns_can_be_kept_as_metadata() -> None:
    row = {"metadata": {"a": 1}, "color": "red"}

    assert product(row, "metadata.colour=color") == {"metadata": {"a": 1, "colour": "red"}}


def test_a_flat_price_is_that_of_the_one_variant() -> None:
    assert product({"price": Decimal("9.99"), "sku": "M"}, currency="eur") == {
        "sku": "M",
        "variants": [{"sku": "M", "prices": [{"amount": Decimal("9.99"), "currency_code": "EUR"}]}],
    }


def test_the_currency_of_the_row_goes_before_the_one_given() -> None:
    (variant,) = product({"price": "1", "currency": "SEK"}, currency="EUR")["variants"]

    assert variant["prices"] == [{"amount": "1", "currency_code": "SEK"}]


def test_a_price_beside_variants_is_theirs_to_tell() -> None:
    assert product({"price": "1", "variants": [{"sku": "M"}]}, currency="EUR") == {
        "variants": [{"sku": "M"}]
    }


@pytest.mark.parametrize(
    ("row", "left_out"), [({"price": 1}, True), ({"price": None}, False), ({}, False)]
)
def test_a_price_without_a_currency_is_left_out_and_told(
    row: dict[str, Any], left_out: bool
) -> None:
    mapped = FeedMapping().apply(row)

    assert mapped.price_left_out is left_out
    assert "variants" not in mapped.product


@pytest.mark.parametrize("pair", ["title", "=id", "colour=color", "metadata.=x"])
def test_a_mapping_that_is_none_is_refused(pair: str) -> None:
    with pytest.raises(InvalidInput):
        FeedMapping.parse([pair], None)


def test_columns_that_become_nothing_are_named() -> None:
    mapping = FeedMapping.parse(["brand=maker"], None)

    assert mapping.unused(["Title", "maker", "rating", "thumbnail"]) == ["rating"]


def test_a_column_that_was_named_must_be_there() -> None:
    with pytest.raises(InvalidInput, match="'maker'"):
        FeedMapping.parse(["brand=maker", "status="], None).check(["title"])
