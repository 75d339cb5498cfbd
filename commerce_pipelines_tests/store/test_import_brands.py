"""A product's brand by its id in the brand system, by its name, or by both."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from commerce_pipelines.domain.brands import BrandChanges, ForeignBrand, WantedBrand
from commerce_pipelines.store import brand_changes, brand_staging, brands
from commerce_pipelines_tests.factories import feed_items, full_product, product
from commerce_pipelines_tests.store.catalog import CATALOG_TABLES, Catalog

_BRAND_OF_PRODUCTS = """
    SELECT brand.name FROM product LEFT JOIN brand ON brand.id = brand_id ORDER BY product.title"""


def by_id(external_id: str | int, **more: Any) -> dict[str, Any]:
    return {"external_id": external_id, **more}


def sync(catalog: Catalog, saga_id: str, *named: tuple[str, str]) -> list[str]:
    """Brings brands from the other side; returns what was decided."""
    theirs = [ForeignBrand(id_, name, None, None, datetime.now(UTC)) for id_, name in named]
    with catalog.engine.begin() as connection:
        decided = brand_staging.decide(connection, theirs)
        brand_changes.create_brands(connection, saga_id)
        brand_changes.update_brands(connection, saga_id)
    return [each.action for each in decided]


def brand_names(catalog: Catalog) -> list[str]:
    return catalog.values("SELECT name FROM brand ORDER BY name")


@pytest.mark.parametrize("named", [{}, {"name": "Acme"}, {"name": "Other"}, {"name": None}])
def test_a_linked_brand_is_taken_whatever_name_is_given(
    catalog: Catalog, named: dict[str, Any]
) -> None:
    sync(catalog, "sync", ("7", "Acme"))

    catalog.take(product(1, brand=by_id("7", **named)), product(2, brand=by_id(7, **named)))

    assert catalog.values(_BRAND_OF_PRODUCTS) == ["Acme", "Acme"]
    assert brand_names(catalog) == ["Acme"]


def test_an_id_that_nobody_knows_leaves_the_name(catalog: Catalog) -> None:
    catalog.take(product(1, brand="Acme"))

    catalog.take(
        product(2, brand=by_id("7", name="ACME")),
        product(3, brand=by_id("8", name="New")),
        product(4, brand={"name": "new"}),
    )

    assert catalog.values(_BRAND_OF_PRODUCTS) == ["Acme", "Acme", "New", "New"]
    assert brand_names(catalog) == ["Acme", "New"]
    assert catalog.values("SELECT * FROM foreign_brand") == []


def test_an_unknown_id_alone_is_refused_and_the_other_products_are_taken(catalog: Catalog) -> None:
    catalog.take(product(1, brand="Acme", description="old"))

    page = catalog.take(
        product(1, brand=by_id("7"), description="new"),
        full_product(2, brand=by_id("8")),
        full_product(3, brand="Acme"),
    )

    assert page.reasons == [
        ("brand.external_id", "7 is not known, and no name is given"),
        ("brand.external_id", "8 is not known, and no name is given"),
    ]
    assert page.actions == ["create"]
    assert catalog.values("SELECT description FROM product ORDER BY title") == [
        "old",
        "Description 3",
    ]


def test_a_refused_brand_keeps_the_sku_that_its_product_would_have_given_away(
    catalog: Catalog,
) -> None:
    catalog.take(product(1, sku="a"))

    page = catalog.take(product(1, sku="b", brand=by_id("7")), product(2, sku="a"))

    assert page.reasons == [
        ("brand.external_id", "7 is not known, and no name is given"),
        ("sku", "a belongs to another product"),
    ]


def test_a_product_gets_its_brand_once_it_is_linked_though_the_feed_says_nothing_new(
    catalog: Catalog,
) -> None:
    payload = product(1, brand=by_id("7", name="Acme"))
    catalog.take(payload)
    assert sync(catalog, "sync", ("7", "Acme Incorporated")) == ["create"]

    moved = catalog.take(payload)
    again = catalog.take(payload)

    assert (moved.actions, again.actions) == (["update"], ["unchanged"])
    assert catalog.values(_BRAND_OF_PRODUCTS) == ["Acme Incorporated"]
    catalog.undo(moved)
    assert catalog.values(_BRAND_OF_PRODUCTS) == ["Acme"]


def test_a_page_with_brands_of_every_kind_is_undone(catalog: Catalog) -> None:
    sync(catalog, "sync", ("7", "Acme"))
    catalog.take(product(1, brand=by_id("7")), product(2, brand="Plain"))
    before = catalog.dump()

    page = catalog.take(
        product(1, brand=by_id("8", name="New")),
        product(2, brand=by_id("7")),
        product(3, brand="Other"),
        product(4, brand=None),
    )
    assert catalog.values(_BRAND_OF_PRODUCTS) == ["New", "Acme", "Other", None]
    catalog.undo(page)

    assert catalog.dump() == before


def test_two_imports_at_once_make_one_brand(catalog: Catalog) -> None:
    given: list[Any] = [by_id("7", name="Acme"), "ACME", {"name": "acmé"}, by_id(8, name="Acme ")]
    start = threading.Barrier(len(given))

    def take(number: int) -> None:
        items = feed_items([product(number, brand=given[number])], message_id=number + 1)
        start.wait(60)
        catalog.take_items(items, f"thread-{number}")

    with ThreadPoolExecutor(len(given)) as pool:
        list(pool.map(take, range(len(given))))

    assert catalog.counts()["brand"] == 1
    assert catalog.values("SELECT count(DISTINCT brand_id) FROM product") == [1]


def test_a_brand_that_a_sync_has_adopted_outlives_the_import_that_created_it(
    catalog: Catalog,
) -> None:
    page = catalog.take(product(1, brand="Acme"), product(2, brand="Other"))
    assert sync(catalog, "sync", ("7", "Acme")) == ["adopt"]

    catalog.undo(page)

    assert brand_names(catalog) == ["Acme"]
    assert catalog.rows("SELECT external_id, brand_id FROM foreign_brand") == [
        ("7", catalog.values("SELECT id FROM brand")[0])
    ]


@pytest.mark.parametrize("facts", [{}, {"description": "Anvils"}])
def test_a_brand_that_somebody_asked_for_outlives_the_import_that_created_it(
    catalog: Catalog, facts: dict[str, str]
) -> None:
    page = catalog.take(product(1, brand="Acme"))
    with catalog.engine.begin() as connection:
        _, change = brands.save_brand(connection, WantedBrand(name="Acme", **facts))

    catalog.undo(page)

    assert change == "changed"
    assert brand_names(catalog) == ["Acme"]


@pytest.mark.parametrize("how", ["import", "sync"])
def test_a_name_that_a_brand_gave_up_is_free_for_a_new_one(catalog: Catalog, how: str) -> None:
    with catalog.engine.begin() as connection:
        first, _ = brands.save_brand(connection, WantedBrand(name="Acme"))
        brands.change_brand(connection, first.id, BrandChanges(name="Acme & Sons"))

    if how == "import":
        catalog.take(product(1, brand="Acme"), product(2, brand="acme & sons"))
        assert catalog.values(_BRAND_OF_PRODUCTS) == ["Acme", "Acme & Sons"]
    else:
        assert sync(catalog, "sync", ("7", "Acme"), ("8", "ACME")) == ["create", "adopt"]

    assert brand_names(catalog)[-1:] == ["Acme & Sons"]
    assert catalog.counts()["brand"] == 2


def test_without_products_with_ids_nothing_is_left_of_an_undone_page(catalog: Catalog) -> None:
    catalog.undo(catalog.take(product(1, brand=by_id("7", name="Acme"))))

    assert catalog.counts() == dict.fromkeys(CATALOG_TABLES, 0)
    with catalog.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM foreign_brand")).scalar() == 0
