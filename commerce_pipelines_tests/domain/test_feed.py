"""A page of a feed: each product once, contradictions told where they stood."""

from __future__ import annotations

from commerce_pipelines.domain.catalog import BrandReference
from commerce_pipelines.domain.feed import merge
from commerce_pipelines_tests.factories import feed_items, feed_rows, price, product, variant


def test_each_product_is_there_once_with_all_its_places() -> None:
    first = feed_items([product(1), product(2), product(1, description="new")], message_id=1)
    second = feed_items([product(1, status="draft")], message_id=2)

    rows, rejected = merge([*first, *second])

    assert not rejected
    assert [row.places for row in rows] == [((1, 0), (1, 2), (2, 0)), ((1, 1),)]
    assert rows[0].message_id == 2
    assert (rows[0].product.description, rows[0].product.status) == ("new", "draft")


def test_a_later_description_is_laid_over_the_earlier_one() -> None:
    (row,) = feed_rows(product(1, description="old", brand="Acme"), product(1, description=None))

    assert row.product.description is None
    assert row.product.brand == "Acme"
    assert row.product.model_fields_set == {"external_id", "title", "description", "brand"}


def test_a_later_brand_is_the_whole_brand() -> None:
    by_both = {"name": "Acme", "external_id": 7}
    (named,) = feed_rows(product(1, brand=by_both), product(1, brand="Other"))
    (by_id,) = feed_rows(product(1, brand="Acme"), product(1, brand={"external_id": 7}))

    assert named.product.brand == "Other"
    assert by_id.product.brand == BrandReference(external_id="7")


def test_equal_brands_have_equal_hashes() -> None:
    brands = ["Acme", {"name": "Acme", "external_id": 7}, {"name": "Acme", "external_id": "7"}]
    (name, by_number, by_text) = (feed_rows(product(1, brand=brand))[0] for brand in brands)

    assert by_number.feed_hash == by_text.feed_hash
    assert name.feed_hash != by_text.feed_hash


def test_equal_descriptions_have_equal_hashes() -> None:
    (one,) = feed_rows(product(1, variants=[variant("a", prices=[price("9.99")])]))
    (same,) = feed_rows(product(1, variants=[variant("a", prices=[price("9.990")])]), message_id=2)
    (other,) = feed_rows(product(1, variants=[variant("a", prices=[price("9.98")])]))

    assert one.feed_hash == same.feed_hash
    assert one.feed_hash != other.feed_hash


def test_an_absent_field_and_null_have_different_hashes() -> None:
    (absent,) = feed_rows(product(1))
    (null,) = feed_rows(product(1, description=None))

    assert absent.feed_hash != null.feed_hash


def test_a_contradiction_is_told_at_every_place_of_the_product() -> None:
    items = feed_items([product(1, sku="s"), product(2, sku="s"), product(2, sku="s")])

    rows, rejected = merge(items)

    assert [row.product.external_id for row in rows] == ["e1"]
    assert [(each.message_id, each.rejection.position) for each in rejected] == [(1, 1), (1, 2)]
    assert {each.rejection.field for each in rejected} == {"sku"}


def test_one_handle_for_two_products_goes_to_the_first() -> None:
    rows, rejected = merge(feed_items([product(1, handle="h"), product(2, handle="h")]))

    assert [row.product.external_id for row in rows] == ["e1"]
    assert [each.rejection.field for each in rejected] == ["handle"]


def test_a_sku_that_was_given_up_within_the_page_is_free() -> None:
    rows, rejected = merge(
        feed_items([product(1, sku="s"), product(1, variants=[]), product(2, sku="s")])
    )

    assert (len(rows), rejected) == (2, [])


def test_an_empty_page_has_no_rows() -> None:
    assert merge([]) == ([], [])
