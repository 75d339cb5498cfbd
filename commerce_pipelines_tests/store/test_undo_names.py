"""Taking an import back when another product has a handle or SKU of it by now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from hypothesis import given, settings

from commerce_pipelines.store.catalog_undo import SupersededName, UndoneProducts
from commerce_pipelines_tests.factories import Payload, price, product, variant
from commerce_pipelines_tests.store import feeds
from commerce_pipelines_tests.store.catalog import Catalog

LATER = """
    SELECT product.id, handle, product.title, product.version, variant.id, sku
    FROM product LEFT JOIN variant ON product_id = product.id
    WHERE saga_id = :saga ORDER BY 1, 5"""


def test_a_handle_that_another_product_has_taken_stays_taken(catalog: Catalog) -> None:
    catalog.take(product(1, handle="mug", description="old"), product(2, description="old"))
    page = catalog.take(
        product(1, handle="cup", description="new"), product(2, description="new"), product(3)
    )
    theirs = catalog.take(product(4, handle="mug"))

    undone = catalog.undo(page)

    stuck = SupersededName(page.product_ids[0], "handle", "mug", theirs.product_ids[0])
    assert undone == UndoneProducts(deleted=1, restored=2, superseded=0, superseded_names=[stuck])
    assert catalog.rows(
        "SELECT handle, description FROM product ORDER BY id = :theirs, handle",
        theirs=theirs.product_ids[0],
    ) == [
        ("cup", "old"),
        ("product-2", "old"),
        ("mug", None),
    ]


def test_a_sku_that_another_product_has_taken_stays_taken(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a", sku="A", prices=[price("1")]), variant("b")]))
    page = catalog.take(
        product(1, variants=[variant("a", sku="A2", prices=[price("2")]), variant("c")])
    )
    theirs = catalog.take(product(2, sku="A"))

    undone = catalog.undo(page)

    (mine,) = page.product_ids
    (other,) = theirs.product_ids
    assert undone.superseded_names == [SupersededName(mine, "sku", "A", other)]
    assert (undone.restored, undone.superseded) == (1, 0)
    assert catalog.rows(
        """SELECT sku, amount FROM variant LEFT JOIN price ON variant_id = variant.id
           WHERE product_id = :id ORDER BY sku""",
        id=mine,
    ) == [("A2", 1), ("sku-b", Decimal("9.99"))]


def test_a_variant_that_comes_back_without_its_taken_sku_has_none(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a", sku="A"), variant("b")]))
    page = catalog.take(product(1, variants=[variant("b")]))
    theirs = catalog.take(product(2, sku="A"))

    undone = catalog.undo(page)

    taken = SupersededName(page.product_ids[0], "sku", "A", theirs.product_ids[0])
    assert undone.superseded_names == [taken]
    assert catalog.values(
        "SELECT sku FROM variant WHERE product_id = :id ORDER BY sku", id=page.product_ids[0]
    ) == ["sku-b", None]


def test_who_keeps_a_sku_keeps_others_from_having_it_back(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a", sku="A"), variant("b", sku="B")]))
    page = catalog.take(product(1, variants=[variant("a", sku="B"), variant("b", sku="C")]))
    theirs = catalog.take(product(2, sku="A"))

    undone = catalog.undo(page)

    (mine,) = page.product_ids
    assert {(one.name, one.held_by) for one in undone.superseded_names} == {
        ("A", theirs.product_ids[0]),
        ("B", mine),
    }
    assert catalog.values("SELECT sku FROM variant WHERE product_id = :id ORDER BY 1", id=mine) == [
        "B",
        "C",
    ]


def test_a_taken_name_is_free_for_the_undo_where_its_taker_is_undone_too(catalog: Catalog) -> None:
    catalog.take(product(1, handle="mug", sku="A"))
    before = catalog.dump()
    page = catalog.take(product(1, handle="cup", sku="A1"))
    theirs = catalog.take(product(2, handle="mug", sku="A"))

    catalog.undo(theirs)
    undone = catalog.undo(page)

    assert undone.superseded_names == []
    assert catalog.dump() == before


def test_two_undos_at_once_of_who_gave_and_who_took_a_name(catalog: Catalog) -> None:
    for number in range(5):
        catalog.clear()
        catalog.take(product(1, handle="mug", sku="A"), product(2, handle="pot", sku="B"))
        pages = [
            catalog.take(product(1, handle="cup", sku="C")),
            catalog.take(product(2, handle="mug", sku="A")),
        ]
        with ThreadPoolExecutor(2) as pool:
            undone = list(pool.map(catalog.undo, pages[:: 1 if number % 2 else -1]))

        assert all((one.restored, one.superseded) == (1, 0) for one in undone)
        assert catalog.values("SELECT handle FROM product ORDER BY handle")[1] == "pot"
        assert catalog.values("SELECT sku FROM variant ORDER BY sku")[1 - 1] in ("A", "B")


@settings(max_examples=80)
@given(first=feeds.contested_pages(), ours=feeds.contested_pages(), theirs=feeds.contested_pages())
def test_the_undo_of_any_page_succeeds_and_leaves_what_came_later(
    catalog: Catalog, first: list[Payload], ours: list[Payload], theirs: list[Payload]
) -> None:
    catalog.clear()
    catalog.take(*first)
    page = catalog.take(*ours)
    later = catalog.take(*theirs).saga_id
    kept = catalog.rows(LATER, saga=later)

    catalog.undo(page)

    assert catalog.rows(LATER, saga=later) == kept
