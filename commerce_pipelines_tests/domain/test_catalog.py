"""What makes a product, what is wrong with one that is not, and handles."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce_pipelines.domain.catalog import (
    LONGEST_HANDLE,
    BrandReference,
    Product,
    Rejection,
    fold_name,
    handle_from,
    parse_product,
    products_of,
)
from commerce_pipelines.errors import InvalidInput
from commerce_pipelines_tests.factories import full_product, price, variant


def read(**payload: Any) -> Product:
    """Reads a product that must be good."""
    product = parse_product({"title": "Mug", **payload}, 0)
    assert isinstance(product, Product), product
    return product


def with_price(**changes: Any) -> dict[str, Any]:
    """Returns a product with two prices, of which the second is changed."""
    return {
        "variants": [
            variant("a"),
            variant("b", prices=[price("1"), {**price("2", "USD"), **changes}]),
        ]
    }


def test_a_title_is_enough() -> None:
    assert read().model_fields_set == {"title"}


def test_everything_may_be_given() -> None:
    assert isinstance(parse_product(full_product(), 0), Product)


def test_fields_that_nobody_knows_are_read_over() -> None:
    assert read(weight=3, variants=[{"sku": "a", "weight": 3}]).variants


def test_numbers_as_codes_become_text() -> None:
    product = read(external_id=7, sku=8, variants=[{"sku": 9, "external_id": 10}])

    assert (product.external_id, product.sku) == ("7", "8")
    assert [(each.sku, each.external_id) for each in product.variants or ()] == [("9", "10")]


def test_images_may_be_addresses_or_objects_with_one() -> None:
    images = ["https://a/1.jpg", {"url": "https://a/2.jpg", "alt": "x"}]

    assert read(images=images).images == ["https://a/1.jpg", "https://a/2.jpg"]


def test_spaces_around_names_are_cut_off() -> None:
    product = read(title="  Mug ", brand=" Acme ", sku=" s ")

    assert (product.title, product.brand, product.sku) == ("Mug", "Acme", "s")


def test_a_brand_may_be_an_object_with_its_id_in_the_brand_system() -> None:
    brand = {"name": " Acme ", "external_id": 7, "more": "is not read"}

    assert read(brand=brand).brand == BrandReference(name="Acme", external_id="7")
    assert read(brand={"name": "Acme"}).brand == BrandReference(name="Acme")
    assert read(brand={"external_id": "7"}).brand == BrandReference(external_id="7")
    assert read(brand=None).brand is None


REJECTED: list[tuple[dict[str, Any], str, str]] = [
    ({"title": None}, "title", "valid string"),
    ({"title": ""}, "title", "at least 1 character"),
    ({"title": "   "}, "title", "at least 1 character"),
    ({"title": 7}, "title", "valid string"),
    ({"title": "x" * 10_000}, "title", "at most 512 characters"),
    ({"title": "a\x00b"}, "title", "NUL"),
    ({"title": "\ud800"}, "title", "unicode"),
    ({"description": "a\x00b"}, "description", "NUL"),
    ({"description": "x" * 100_001}, "description", "at most 100000"),
    ({"description": ["x"]}, "description", "valid string"),
    ({"external_id": ""}, "external_id", "at least 1"),
    ({"external_id": True}, "external_id", "valid string"),
    ({"external_id": 1.5}, "external_id", "valid string"),
    ({"external_id": "x" * 256}, "external_id", "at most 255"),
    ({"handle": ""}, "handle", "at least 1"),
    ({"handle": "a b"}, "handle", "letters, digits"),
    ({"handle": "a/b"}, "handle", "letters, digits"),
    ({"handle": "x" * 256}, "handle", "at most 255"),
    ({"status": "gone"}, "status", "'draft', 'proposed', 'published', 'rejected' or 'archived'"),
    ({"brand": ""}, "brand", "at least 1"),
    ({"brand": ["Acme"]}, "brand", "valid string"),
    ({"brand": "   "}, "brand", "at least 1 character that is not a space"),
    ({"brand": {}}, "brand", "needs a name or an external_id"),
    ({"brand": {"name": None, "external_id": None}}, "brand", "needs a name or an external_id"),
    ({"brand": {"name": ""}}, "brand.name", "at least 1"),
    ({"brand": {"name": 7}}, "brand.name", "valid string"),
    ({"brand": {"name": "A", "external_id": "x" * 256}}, "brand.external_id", "at most 255"),
    ({"brand": {"name": "A", "external_id": True}}, "brand.external_id", "valid string"),
    ({"images": "https://a/1.jpg"}, "images", "valid list"),
    ({"images": [7]}, "images[0]", "valid string"),
    ({"images": ["x"] * 251}, "images", "at most 250"),
    ({"options": [{}]}, "options[0].title", "required"),
    ({"options": [{"title": "A", "values": "S"}]}, "options[0].values", "valid list"),
    ({"options": [{"title": "A", "values": [""]}]}, "options[0].values[0]", "at least 1"),
    ({"options": [{"title": "A"}, {"title": "A"}]}, "options[1]", "A appears twice"),
    ({"variants": [{"sku": "a"}, {"sku": "a"}]}, "variants[1]", "sku a appears twice"),
    ({"variants": [{}, {}]}, "variants[1]", "appears twice"),
    (
        {"variants": [{"external_id": "1", "sku": "a"}, {"external_id": "2", "sku": "a"}]},
        "variants[1]",
        "sku a appears twice",
    ),
    ({"variants": [{"sku": "a"}, 7]}, "variants[1]", "valid dictionary|object"),
    ({"variants": [{"sku": str(at)} for at in range(1_001)]}, "variants", "at most 1000"),
    ({"variants": [{"options": {"": "S"}}]}, "variants[0].options", "at least 1"),
    ({"variants": [{"options": {"Size": 7}}]}, "variants[0].options.Size", "valid string"),
    ({"variants": [{"manage_inventory": "perhaps"}]}, "variants[0].manage_inventory", "boolean"),
    (with_price(amount=-1), "variants[1].prices[1].amount", "is negative"),
    (with_price(amount="x"), "variants[1].prices[1].amount", "is not a number"),
    (with_price(amount="0.00001"), "variants[1].prices[1].amount", "decimals"),
    (with_price(currency_code="XXQ"), "variants[1].prices[1].currency_code", "not a currency"),
    (with_price(currency_code=None), "variants[1].prices[1].currency_code", "not a currency"),
    (with_price(min_quantity=0), "variants[1].prices[1].min_quantity", "greater than or equal"),
    (with_price(currency_code="EUR"), "variants[1].prices[1]", "EUR from 1 appears twice"),
    ({"variants": [{"prices": [{}]}]}, "variants[0].prices[0].amount", "required"),
    ({"metadata": [1]}, "metadata", "valid dictionary"),
    ({"metadata": {"a": "\x00"}}, "metadata", "NUL"),
    ({"metadata": {"a\x00": 1}}, "metadata", "NUL"),
    ({"metadata": {"a": "\ud800"}}, "metadata", "surrogates|character"),
]


@pytest.mark.parametrize(
    ("changes", "field", "reason"), REJECTED, ids=[f"{f}: {r}" for _, f, r in REJECTED]
)
def test_what_is_wrong_is_told_with_its_place(
    changes: dict[str, Any], field: str, reason: str
) -> None:
    told = parse_product({"title": "Mug", **changes}, 7)

    assert isinstance(told, Rejection)
    assert told.position == 7
    assert told.field.startswith(field)
    assert re.search(reason, told.reason), told.reason


@pytest.mark.parametrize("payload", [None, 7, "Mug", ["Mug"], [{"title": "Mug"}]])
def test_what_is_no_object_is_no_product(payload: Any) -> None:
    assert parse_product(payload, 3) == Rejection(position=3, field="", reason="is not an object")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(sorted(full_product())) | st.text(), inner, max_size=5
            )
        ),
        max_leaves=15,
    )
)
def test_any_payload_is_a_product_or_a_rejection_that_can_be_stored(payload: Any) -> None:
    told = parse_product(payload, 0)

    if isinstance(told, Rejection):
        text = told.model_dump_json()
        assert "\\u0000" not in text


@pytest.mark.parametrize("body", [[], [1], {"products": []}, {"products": [1], "total": 1}])
def test_a_list_of_products_is_found(body: Any) -> None:
    assert products_of(body) in ([], [1])


@pytest.mark.parametrize(
    "body", [None, 7, "x", {}, {"products": None}, {"products": {}}, {"a": []}]
)
def test_what_holds_no_list_is_refused(body: Any) -> None:
    with pytest.raises(InvalidInput, match="Expected an array of products"):
        products_of(body)


@pytest.mark.parametrize(
    ("title", "handle"),
    [
        ("Coffee Mug", "coffee-mug"),
        ("  Coffee -- Mug!  ", "coffee-mug"),
        ("Men's T-Shirt", "mens-t-shirt"),
        ("Große Kanne", "grosse-kanne"),
        ("Café crème", "cafe-creme"),
        ("Кружка", "kruzhka"),
        ("100% Cotton", "100-cotton"),
    ],
)
def test_a_handle_is_made_from_the_title(title: str, handle: str) -> None:
    assert handle_from(title) == handle


def test_a_title_without_letters_still_gets_a_handle_of_its_own() -> None:
    assert handle_from("!!!") != handle_from("???")
    assert handle_from("😀").startswith("product-")


@given(st.text(min_size=1, max_size=512))
def test_a_made_handle_is_one_that_a_feed_could_give(title: str) -> None:
    handle = handle_from(title)

    assert 0 < len(handle) <= LONGEST_HANDLE
    assert re.fullmatch(r"[a-z0-9-]+", handle)


@pytest.mark.parametrize("spelling", ["ACME", "acme", " Acme ", "Acmé", "ácmê"])
def test_spellings_of_a_name_are_folded_together(spelling: str) -> None:
    assert fold_name(spelling) == fold_name("Acme")


@pytest.mark.parametrize(
    ("one", "other"), [("A", "B"), ("H&M", "HM"), ("東京", "京都"), ("!!", "??")]
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert fold_name(one) != fold_name(other)


@given(st.text(min_size=1))
def test_a_folded_name_is_never_empty_unless_it_is_only_space(name: str) -> None:
    assert fold_name(name) or not name.strip()


def test_a_variant_is_known_by_its_external_id_then_its_sku_then_its_options() -> None:
    variants = (
        read(
            variants=[
                {"external_id": "1", "sku": "a"},
                {"sku": "a2"},
                {"options": {"Size": "S", "Colour": "Red"}},
            ]
        ).variants
        or []
    )

    assert [each.key for each in variants] == [
        "external_id 1",
        "sku a2",
        "options [('Colour', 'Red'), ('Size', 'S')] ",
    ]


def test_a_variant_without_a_title_shows_its_options() -> None:
    titles = [
        each.shown_title
        for each in read(
            variants=[{"options": {"Size": "S", "Colour": "Red"}}, {"sku": "a"}, {"title": "T"}]
        ).variants
        or []
    ]

    assert titles == ["S / Red", "a", "T"]
