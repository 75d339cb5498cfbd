"""What an import does with the fields and lists of products."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines_tests.factories import full_product, price, product, variant
from commerce_pipelines_tests.store.catalog import Catalog


def test_products_are_created_then_unchanged_then_updated(catalog: Catalog) -> None:
    page = [full_product(1), full_product(2, handle="second", brand="ACME")]
    page[1]["variants"] = [variant("other")]

    first = catalog.take(*page)
    second = catalog.take(*page)
    third = catalog.take(page[0], {**page[1], "title": "New"})

    assert first.actions == ["create", "create"]
    assert second.actions == ["unchanged", "unchanged"]
    assert third.actions == ["unchanged", "update"]
    assert first.product_ids == second.product_ids == third.product_ids
    assert catalog.counts() == {
        "product": 2,
        "product_option": 2,
        "variant": 3,
        "price": 3,
        "brand": 1,
        "external_id": 5,
    }


def test_an_unchanged_product_is_not_written(catalog: Catalog) -> None:
    catalog.take(full_product())
    before = catalog.rows("SELECT xmin::text, version FROM product")

    catalog.take(full_product())

    assert catalog.rows("SELECT xmin::text, version FROM product") == before
    assert catalog.values("SELECT count(*) FROM product_revision") == [1]


def test_everything_that_a_feed_says_is_stored(catalog: Catalog) -> None:
    catalog.take(full_product(1))

    assert catalog.rows("""
        SELECT title, handle, product.description, status, brand.name, images, metadata
        FROM product JOIN brand ON brand.id = brand_id""") == [
        (
            "Product 1",
            "product-1",
            "Description 1",
            "published",
            "Acme",
            ["https://example.com/1.jpg"],
            {"colour": "red"},
        )
    ]
    assert catalog.rows("SELECT title, position, values FROM product_option") == [
        ("Size", 0, ["S", "M"])
    ]
    assert catalog.rows("""
        SELECT position, sku, title, options, manage_inventory, amount, currency_code, min_quantity
        FROM variant JOIN price ON variant_id = id ORDER BY position""") == [
        (0, "sku-1-S", "S", {"Size": "S"}, True, Decimal("9.9900"), "EUR", 1),
        (1, "sku-1-M", "M", {"Size": "M"}, True, Decimal("9.9900"), "EUR", 1),
    ]


def test_a_field_that_is_absent_is_left_as_it_is(catalog: Catalog) -> None:
    catalog.take(full_product(1))
    before = catalog.content()

    page = catalog.take(product(1))

    assert page.actions == ["update"]
    assert catalog.content() == before


@pytest.mark.parametrize(
    ("field", "query", "cleared"),
    [
        ("description", "SELECT description FROM product", None),
        ("brand", "SELECT brand_id FROM product", None),
        ("images", "SELECT images FROM product", []),
        ("metadata", "SELECT metadata FROM product", {}),
        ("options", "SELECT count(*) FROM product_option", 0),
        ("variants", "SELECT count(*) FROM variant", 0),
    ],
)
def test_a_field_that_is_null_is_cleared(
    catalog: Catalog, field: str, query: str, cleared: Any
) -> None:
    catalog.take(full_product(1))
    assert catalog.values(query) != [cleared]

    catalog.take(product(1, **{field: None}))

    assert catalog.values(query) == [cleared]


def test_a_handle_or_a_status_that_is_null_is_left_as_it_is(catalog: Catalog) -> None:
    catalog.take(full_product(1, status="draft"))

    catalog.take(product(1, handle=None, status=None))

    assert catalog.rows("SELECT handle, status FROM product") == [("product-1", "draft")]


def test_a_list_replaces_the_list_before(catalog: Catalog) -> None:
    catalog.take(full_product(1))

    catalog.take(
        product(
            1,
            images=["https://example.com/new.jpg"],
            options=[{"title": "Colour", "values": ["Red"]}],
            variants=[variant("1-M", "M", prices=[price("5", "USD")])],
        )
    )

    assert catalog.values("SELECT images FROM product") == [["https://example.com/new.jpg"]]
    assert catalog.values("SELECT title FROM product_option") == ["Colour"]
    assert catalog.values("SELECT sku FROM variant") == ["sku-1-M"]
    assert catalog.rows("SELECT currency_code, amount FROM price") == [("USD", Decimal("5.0000"))]
    assert catalog.values("SELECT external_id FROM external_id WHERE entity = 'variant'") == [
        "v-1-M"
    ]


def test_prices_that_are_absent_are_left_and_null_clears_them(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a")]))
    without_prices = variant("a", title="New")
    del without_prices["prices"]

    catalog.take(product(1, variants=[without_prices]))
    assert catalog.values("SELECT count(*) FROM price") == [1]

    catalog.take(product(1, variants=[variant("a", prices=None)]))
    assert catalog.values("SELECT count(*) FROM price") == [0]


@pytest.mark.parametrize("field", ["external_id", "sku", "options"])
def test_a_variant_keeps_its_id_while_what_it_is_known_by_stays(
    catalog: Catalog, field: str
) -> None:
    known_by = {field: variant("a")[field]}
    catalog.take(product(1, variants=[{**known_by, "prices": [price("1")]}]))
    before = catalog.values("SELECT id FROM variant")

    catalog.take(product(1, variants=[{"sku": "another"}, {**known_by, "manage_inventory": False}]))

    assert catalog.values("SELECT id FROM variant WHERE NOT manage_inventory") == before
    assert catalog.values("SELECT position FROM variant ORDER BY position") == [0, 1]


def test_a_product_with_only_a_sku_is_its_one_variant(catalog: Catalog) -> None:
    catalog.take(product(1, sku="solo"))

    assert catalog.rows("SELECT sku, title FROM variant") == [("solo", "solo")]


def test_the_same_feed_gives_the_same_ids_in_another_store(catalog: Catalog) -> None:
    first = catalog.take(full_product(1), product(2))
    variants = catalog.values("SELECT id FROM variant ORDER BY id")
    catalog.clear()

    assert catalog.take(product(2), full_product(1)).product_ids == first.product_ids[::-1]
    assert catalog.values("SELECT id FROM variant ORDER BY id") == variants


def test_prices_of_several_currencies_and_tiers_are_kept(catalog: Catalog) -> None:
    prices = [price("9.99"), price("8.99", min_quantity=10), price("1200", "JPY")]

    catalog.take(product(1, variants=[variant("a", prices=prices)]))

    assert catalog.rows("""
        SELECT currency_code, min_quantity, amount::text FROM price ORDER BY 1, 2""") == [
        ("EUR", 1, "9.9900"),
        ("EUR", 10, "8.9900"),
        ("JPY", 1, "1200.0000"),
    ]


def test_an_archived_product_stays_with_its_status(catalog: Catalog) -> None:
    catalog.take(full_product(1))

    catalog.take(product(1, status="archived"))

    assert catalog.values("SELECT status FROM product") == ["archived"]


@pytest.mark.parametrize("spelling", ["ACME", "acme", " Acme ", "Acmé", "ácme"])
def test_a_brand_in_another_spelling_is_the_same_brand(catalog: Catalog, spelling: str) -> None:
    catalog.take(product(1, brand="Acme"))

    catalog.take(product(2, brand=spelling))

    assert catalog.values("SELECT name FROM brand") == ["Acme"]
    assert catalog.values("SELECT count(DISTINCT brand_id) FROM product") == [1]


def test_an_older_message_does_not_move_a_product_backwards(catalog: Catalog) -> None:
    catalog.take(product(1, title="Newer"), message_id=7)

    page = catalog.take(product(1, title="Older"), message_id=6)

    assert page.actions == ["stale"]
    assert catalog.values("SELECT title FROM product") == ["Newer"]


def test_the_same_message_may_be_imported_again(catalog: Catalog) -> None:
    catalog.take(product(1, title="Newer"), message_id=7)

    assert catalog.take(product(1, title="Again"), message_id=7).actions == ["update"]


def test_an_empty_page_changes_nothing(catalog: Catalog) -> None:
    page = catalog.take()

    assert (page.rows, page.rejected) == ([], [])


def test_a_page_of_thousands_is_taken_whole(catalog: Catalog) -> None:
    page = [
        product(number, title="Same", variants=[variant(str(number))]) for number in range(3000)
    ]

    assert catalog.take(*page).actions == ["create"] * 3000
    assert catalog.values("SELECT count(DISTINCT handle) FROM product") == [3000]
