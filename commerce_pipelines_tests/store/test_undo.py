"""Taking an import back: what it created is gone, what it changed is as before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from commerce_pipelines.store.catalog_undo import (
    UndoneProducts,
    leave_script,
    undo_products,
    undo_script,
)
from commerce_pipelines_tests.factories import (
    Payload,
    feed_items,
    full_product,
    price,
    product,
    variant,
)
from commerce_pipelines_tests.store import feeds
from commerce_pipelines_tests.store.catalog import CATALOG_TABLES, Catalog


def test_what_was_created_is_gone_with_all_that_belongs_to_it(catalog: Catalog) -> None:
    page = catalog.take(full_product(1), product(2))

    undone = catalog.undo(page)

    assert undone == UndoneProducts(deleted=2, restored=0, superseded=0)
    assert catalog.counts() == dict.fromkeys(CATALOG_TABLES, 0)


def test_what_was_changed_is_exactly_as_before(catalog: Catalog) -> None:
    catalog.take(full_product(1))
    before = catalog.dump()
    page = catalog.take(
        product(
            1,
            title="Other",
            handle="other",
            description=None,
            status="archived",
            brand="Another",
            images=[],
            metadata={"x": [1, {"y": None}]},
            options=[],
            variants=[
                variant("1-M", "M", sku="1-new", prices=[price("1", "JPY")]),
                variant("1-XL"),
            ],
        )
    )
    assert catalog.dump() != before

    undone = catalog.undo(page)

    assert undone == UndoneProducts(deleted=0, restored=1, superseded=0)
    assert catalog.dump() == before


def test_what_was_added_to_a_bare_product_is_gone(catalog: Catalog) -> None:
    catalog.take({"title": "Mug", "handle": "mug"})
    before = catalog.dump()
    page = catalog.take({**full_product(1), "handle": "mug"})

    catalog.undo(page)

    assert catalog.dump() == before


def test_a_swap_of_skus_is_swapped_back(catalog: Catalog) -> None:
    catalog.take(product(1, sku="a"), product(2, sku="b"))
    before = catalog.dump()
    page = catalog.take(product(1, sku="b"), product(2, sku="a"))

    catalog.undo(page)

    assert catalog.dump() == before


def test_a_variant_that_moved_to_another_product_moves_back(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a")]), product(2))
    before = catalog.dump()
    page = catalog.take(product(1, variants=[]), product(2, variants=[variant("a")]))

    catalog.undo(page)

    assert catalog.dump() == before


def test_a_later_change_by_somebody_else_stays_and_is_counted(catalog: Catalog) -> None:
    catalog.take(product(1), product(2))
    page = catalog.take(product(1, title="Ours"), product(2, title="Ours"), product(3))
    catalog.take(product(1, title="Theirs"), product(3, title="Theirs"))

    undone = catalog.undo(page)

    assert undone == UndoneProducts(deleted=0, restored=1, superseded=2)
    assert catalog.values("SELECT title FROM product ORDER BY title") == [
        "Product 2",
        "Theirs",
        "Theirs",
    ]


def test_an_undo_twice_changes_nothing_more(catalog: Catalog) -> None:
    catalog.take(full_product(1))
    page = catalog.take(full_product(1, title="New"), product(2))
    catalog.undo(page)
    before = catalog.rows("SELECT * FROM product")

    assert catalog.undo(page) == UndoneProducts(deleted=0, restored=0, superseded=0)
    assert catalog.rows("SELECT * FROM product") == before


def test_some_products_can_be_taken_back_alone(catalog: Catalog) -> None:
    catalog.take(full_product(1))
    page = catalog.take(product(1, title="New"), full_product(2), product(3))

    undone = catalog.undo(page, page.product_ids[:2])

    assert undone == UndoneProducts(deleted=1, restored=1, superseded=0)
    assert catalog.values("SELECT title FROM product ORDER BY title") == ["Product 1", "Product 3"]
    assert catalog.undo(page) == UndoneProducts(deleted=1, restored=0, superseded=0)


def test_a_brand_that_another_product_has_since_stays(catalog: Catalog) -> None:
    page = catalog.take(product(1, brand="Acme"))
    catalog.take(product(2, brand="acme"))

    catalog.undo(page)

    assert catalog.values("SELECT name FROM brand") == ["Acme"]


def test_a_handle_is_free_again_after_the_undo(catalog: Catalog) -> None:
    page = catalog.take(product(1, title="Mug"))
    catalog.undo(page)

    again = catalog.take(product(2, title="Mug"))

    assert again.actions == ["create"]
    assert catalog.values("SELECT handle FROM product") == ["mug"]


def test_a_page_can_be_imported_again_after_its_undo(catalog: Catalog) -> None:
    catalog.take(full_product(1))
    page = [full_product(1, title="New"), full_product(2, variants=[])]
    undone = catalog.take(*page)
    content = catalog.content()
    catalog.undo(undone)

    again = catalog.take(*page)

    assert again.actions == ["update", "create"]
    assert catalog.content() == content


def test_a_version_never_comes_again(catalog: Catalog) -> None:
    catalog.take(product(1))
    page = catalog.take(product(1, title="New"))

    catalog.undo(page)

    assert catalog.values("SELECT version FROM product") == [3]


@settings(max_examples=60)
@given(first=feeds.pages(), second=feeds.pages())
def test_the_undo_of_any_second_page_gives_the_store_of_the_first(
    catalog: Catalog, first: list[Payload], second: list[Payload]
) -> None:
    catalog.clear()
    catalog.take(*first)
    before = catalog.dump()

    page = catalog.take(*second)
    catalog.undo(page)

    assert catalog.dump() == before


@pytest.mark.parametrize("undone", [0, 1])
def test_undoing_one_of_two_pages_leaves_the_other(catalog: Catalog, undone: int) -> None:
    pages = [catalog.take(full_product(number, brand=f"B{number}")) for number in (1, 2)]
    kept = catalog.rows("SELECT * FROM product WHERE id = :id", id=pages[1 - undone].product_ids[0])

    catalog.undo(pages[undone])

    assert catalog.rows("SELECT * FROM product") == kept
    assert catalog.counts() == {
        "product": 1,
        "product_option": 1,
        "variant": 2,
        "price": 2,
        "brand": 1,
        "external_id": 3,
    }


def test_a_brand_that_a_product_may_go_back_to_stays(catalog: Catalog) -> None:
    branding = catalog.take(product(1, brand="Acme"))
    catalog.take(product(2, brand="Acme"))
    before = catalog.rows("SELECT brand_id FROM product WHERE title = 'Product 2'")
    page = catalog.take(product(2, brand="Other"))
    catalog.hold(page.saga_id, "parked")

    catalog.undo(branding)
    catalog.undo(page)

    assert catalog.rows("SELECT brand_id FROM product WHERE title = 'Product 2'") == before


@settings(max_examples=30)
@given(first=feeds.contested_pages(), ours=feeds.contested_pages(), theirs=feeds.contested_pages())
def test_the_script_for_a_person_does_what_the_undo_does(
    catalog: Catalog, first: list[Payload], ours: list[Payload], theirs: list[Payload]
) -> None:
    def undone(by_hand: bool) -> list[object]:
        catalog.clear()
        for messages, page in enumerate([first, ours, theirs], start=1):
            catalog.take_items(feed_items(page, messages), f"saga-{messages}")
        if by_hand:
            catalog.execute(undo_script("saga-2"))
        else:
            with catalog.engine.begin() as connection:
                undo_products(connection, "saga-2")
        return [
            catalog.content(),
            catalog.rows(
                """SELECT saga_id, undone_at IS NULL FROM product_revision
                   ORDER BY product_id, saga_id"""
            ),
        ]

    assert undone(by_hand=True) == undone(by_hand=False)


def test_a_product_can_be_left_out_of_the_undo_by_hand(catalog: Catalog) -> None:
    page = catalog.take(product(1), product(2))

    catalog.execute(leave_script(page.saga_id, page.product_ids[0]))

    assert catalog.undo(page) == UndoneProducts(deleted=1, restored=0, superseded=0)
    assert catalog.values("SELECT title FROM product") == ["Product 1"]
