"""When two descriptions are one product, and who a handle or a SKU belongs to."""

from __future__ import annotations

import pytest

from commerce_pipelines.errors import Busy
from commerce_pipelines_tests.factories import product, variant
from commerce_pipelines_tests.store.catalog import Catalog


def handles(catalog: Catalog) -> list[str]:
    """Returns all handles in order."""
    return catalog.values("SELECT handle FROM product ORDER BY handle")


def test_an_external_id_makes_two_descriptions_one_product(catalog: Catalog) -> None:
    first = catalog.take({"external_id": "e1", "title": "Mug", "handle": "mug"})

    second = catalog.take({"external_id": "e1", "title": "Cup", "handle": "cup"})

    assert second.actions == ["update"]
    assert second.product_ids == first.product_ids
    assert catalog.rows("SELECT title, handle FROM product") == [("Cup", "cup")]


def test_without_an_external_id_the_handle_does(catalog: Catalog) -> None:
    first = catalog.take({"title": "Mug", "handle": "mug"})

    second = catalog.take({"title": "Cup", "handle": "mug"})

    assert (second.actions, second.product_ids) == (["update"], first.product_ids)


def test_without_a_handle_the_one_made_from_the_title_does(catalog: Catalog) -> None:
    first = catalog.take({"title": "Coffee Mug"})

    second = catalog.take({"title": "coffee mug!", "description": "for coffee"})

    assert (second.actions, second.product_ids) == (["update"], first.product_ids)
    assert handles(catalog) == ["coffee-mug"]


def test_the_same_body_twice_does_not_duplicate(catalog: Catalog) -> None:
    body = [{"title": "A"}, {"title": "B", "handle": "b"}, product(3), {"title": "Ö"}]

    catalog.take(*body)
    again = catalog.take(*body)

    assert again.actions == ["unchanged"] * 4
    assert catalog.counts()["product"] == 4


def test_two_external_ids_with_one_title_get_two_handles(catalog: Catalog) -> None:
    catalog.take(product(1, title="Mug"), product(2, title="Mug"))
    catalog.take(product(3, title="Mug"))
    catalog.take(product(1, title="Mug", description="changed"))

    assert catalog.rows("""
        SELECT external_id, handle FROM product JOIN external_id ON internal_id = product.id
        ORDER BY 1""") == [("e1", "mug"), ("e2", "mug-2"), ("e3", "mug-3")]


def test_numbers_of_handles_that_are_taken_are_left_out(catalog: Catalog) -> None:
    catalog.take({"title": "x", "handle": "mug"}, {"title": "y", "handle": "mug-2"})

    catalog.take(product(1, title="Mug"), {"title": "z", "handle": "mug-3"})

    assert handles(catalog) == ["mug", "mug-2", "mug-3", "mug-4"]


def test_a_handle_once_made_from_a_title_stays_when_the_title_changes(catalog: Catalog) -> None:
    catalog.take(product(1, title="Mug"))

    catalog.take(product(1, title="Cup"))

    assert catalog.rows("SELECT title, handle FROM product") == [("Cup", "mug")]


def test_a_handle_of_its_own_goes_before_one_made_from_a_title(catalog: Catalog) -> None:
    catalog.take(product(1, title="Mug"), product(2, title="Cup", handle="mug"))

    assert catalog.rows("SELECT title, handle FROM product ORDER BY title") == [
        ("Cup", "mug"),
        ("Mug", "mug-2"),
    ]


def test_a_new_handle_of_a_known_product_goes_before_one_made_from_a_title(
    catalog: Catalog,
) -> None:
    catalog.take(product(1, title="Jug"))

    catalog.take(product(2, title="Mug"), product(3, title="Mug"), product(1, handle="mug"))
    catalog.take(product(1, handle="mug-4"), product(4, title="Mug"), product(5, title="Mug"))

    assert handles(catalog) == ["mug-2", "mug-3", "mug-4", "mug-5", "mug-6"]


def test_a_handle_of_another_product_is_refused(catalog: Catalog) -> None:
    catalog.take(product(1, handle="mug"), product(2, handle="cup"))

    new = catalog.take(product(3, handle="mug"), product(4))
    known = catalog.take(product(2, handle="mug"))

    assert new.reasons == [("handle", "mug belongs to another product")]
    assert new.actions == ["create"]
    assert known.reasons == new.reasons
    assert handles(catalog) == ["cup", "mug", "product-4"]


def test_an_external_id_adopts_the_product_with_its_explicit_handle(catalog: Catalog) -> None:
    first = catalog.take({"title": "Mug", "handle": "mug"})

    adopted = catalog.take({"title": "Mug", "handle": "mug", "external_id": "e1"})
    by_id = catalog.take({"title": "Cup", "external_id": "e1"})

    assert first.product_ids == adopted.product_ids == by_id.product_ids
    assert adopted.actions == ["update"]


def test_an_external_id_does_not_adopt_by_a_title(catalog: Catalog) -> None:
    catalog.take({"title": "Mug"})

    assert catalog.take(product(1, title="Mug")).actions == ["create"]


def test_a_product_with_another_external_id_is_not_adopted(catalog: Catalog) -> None:
    catalog.take(product(1, handle="mug"))

    page = catalog.take(product(2, handle="mug"))

    assert page.reasons == [("handle", "mug belongs to another product")]


def test_two_descriptions_of_one_stored_product_in_a_page_leave_the_newer(
    catalog: Catalog,
) -> None:
    catalog.take({"external_id": "e1", "title": "Mug"})

    page = catalog.take(
        {"handle": "mug", "title": "Older"}, {"external_id": "e1", "title": "Newer"}
    )

    assert page.reasons == [("", "is the same product as another one of this list")]
    assert catalog.values("SELECT title FROM product") == ["Newer"]


def test_a_new_product_gets_another_id_than_one_that_had_its_handle_before(
    catalog: Catalog,
) -> None:
    catalog.take({"title": "Mug", "handle": "mug"})
    catalog.take({"title": "Mug", "handle": "mug", "external_id": "e1"})
    catalog.take({"title": "Mug", "handle": "cup", "external_id": "e1", "sku": "s"})

    page = catalog.take({"title": "Mug", "handle": "mug"})
    with_its_sku = catalog.take({"title": "Third", "handle": "third", "sku": "s"})

    assert page.actions == ["create"]
    assert len(set(catalog.values("SELECT id FROM product"))) == 2
    assert with_its_sku.reasons == [("sku", "s belongs to another product")]


def test_a_new_product_cannot_take_the_sku_of_the_one_that_had_its_id(catalog: Catalog) -> None:
    catalog.take({"title": "Mug", "handle": "mug"})
    catalog.take({"title": "Mug", "handle": "mug", "external_id": "e1"})
    catalog.take({"title": "Mug", "handle": "cup", "external_id": "e1", "sku": "s"})

    page = catalog.take({"title": "Mug", "handle": "mug", "sku": "s"})

    assert page.reasons == [("sku", "s belongs to another product")]


def test_a_sku_of_another_product_is_refused(catalog: Catalog) -> None:
    catalog.take(product(1, sku="s"))

    page = catalog.take(product(2, sku="s"), product(3))

    assert page.reasons == [("sku", "s belongs to another product")]
    assert page.actions == ["create"]
    assert catalog.counts()["product"] == 2


def test_one_sku_for_two_products_of_a_page_goes_to_the_first(catalog: Catalog) -> None:
    page = catalog.take(product(1, sku="s"), product(2, sku="s"))

    assert page.reasons == [("sku", "SKU s belongs to another product of this list")]
    assert [row.row.product.external_id for row in page.rows] == ["e1"]


def test_two_products_of_a_page_may_swap_their_skus(catalog: Catalog) -> None:
    catalog.take(product(1, sku="a"), product(2, sku="b"))

    page = catalog.take(product(1, sku="b"), product(2, sku="a"))

    assert page.actions == ["update", "update"]
    assert catalog.rows("""
        SELECT external_id, sku FROM variant JOIN external_id ON internal_id = product_id
        ORDER BY 1""") == [("e1", "b"), ("e2", "a")]


def test_two_variants_of_a_product_may_swap_their_skus(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a", sku="a"), variant("b", sku="b")]))

    page = catalog.take(product(1, variants=[variant("a", sku="b"), variant("b", sku="a")]))

    assert page.actions == ["update"]
    assert catalog.rows("""
        SELECT external_id, sku FROM variant JOIN external_id ON internal_id = variant.id
        ORDER BY 1""") == [("v-a", "b"), ("v-b", "a")]


def test_a_sku_is_not_given_away_by_a_product_that_is_refused_itself(catalog: Catalog) -> None:
    catalog.take(product(1, sku="a"), product(2, sku="b"), product(3, sku="c"))

    page = catalog.take(product(1, sku="b"), product(2, sku="c"), product(4))

    assert page.reasons == [
        ("sku", "b belongs to another product"),
        ("sku", "c belongs to another product"),
    ]
    assert page.actions == ["create"]


def test_a_sku_that_was_given_up_is_free(catalog: Catalog) -> None:
    catalog.take(product(1, sku="a"))
    catalog.take(product(1, variants=[]))

    assert catalog.take(product(2, sku="a")).actions == ["create"]


def test_a_variant_external_id_of_another_product_is_refused(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[{"external_id": "v"}]))

    page = catalog.take(product(2, variants=[{"external_id": "v"}]), product(3))

    assert page.reasons == [("variants", "external id v belongs to another product")]
    assert page.actions == ["create"]


def test_one_variant_external_id_for_two_products_of_a_page_goes_to_the_first(
    catalog: Catalog,
) -> None:
    page = catalog.take(
        product(1, variants=[{"external_id": "v"}]), product(2, variants=[{"external_id": "v"}])
    )

    assert page.reasons == [("variants", "external id v belongs to another product of this list")]
    assert page.actions == ["create"]


def test_a_variant_may_move_to_another_product_of_the_page(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a")]), product(2))

    page = catalog.take(product(1, variants=[]), product(2, variants=[variant("a")]))

    assert page.actions == ["update", "update"]
    assert catalog.rows("""
        SELECT product.title FROM external_id JOIN variant ON variant.id = internal_id
        JOIN product ON product.id = product_id""") == [("Product 2",)]


def test_a_variant_that_is_gone_gives_its_external_id_back(catalog: Catalog) -> None:
    catalog.take(product(1, variants=[variant("a")]))
    catalog.take(product(1, variants=[]))

    assert catalog.values("SELECT external_id FROM external_id") == ["e1"]
    assert catalog.take(product(2, variants=[variant("a")])).actions == ["create"]


@pytest.mark.parametrize("status", ["running", "aborting"])
def test_a_product_in_the_hands_of_another_saga_makes_the_page_wait(
    catalog: Catalog, status: str
) -> None:
    page = catalog.take(product(1))
    catalog.hold(page.saga_id, status)

    with pytest.raises(Busy, match=page.saga_id):
        catalog.take(product(1, title="New"), product(2))

    assert catalog.values("SELECT title FROM product") == ["Product 1"]


def test_a_product_that_a_parked_saga_holds_is_refused_alone(catalog: Catalog) -> None:
    page = catalog.take(product(1))
    catalog.hold(page.saga_id, "parked")

    after = catalog.take(product(1, title="New"), product(2))

    assert after.reasons == [("", f"is held by the parked saga {page.saga_id}")]
    assert after.actions == ["create"]
