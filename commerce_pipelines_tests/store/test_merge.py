"""A page whose products come several times is as if they had come one after the other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from commerce_pipelines_tests.factories import Payload, price, product, variant
from commerce_pipelines_tests.store import feeds
from commerce_pipelines_tests.store.catalog import Catalog


def one_after_the_other(catalog: Catalog, page: list[Payload]) -> dict[str, object]:
    """Returns the content of a store that took the products one by one."""
    catalog.clear()
    for payload in page:
        catalog.take(payload)
    return content_but_brands(catalog)


def at_once(catalog: Catalog, page: list[Payload]) -> dict[str, object]:
    """Returns the content of a store that took the products as one page."""
    catalog.clear()
    catalog.take(*page)
    return content_but_brands(catalog)


def content_but_brands(catalog: Catalog) -> dict[str, object]:
    """Leaves out brands, whose rows stay when their last product has another one."""
    return {table: rows for table, rows in catalog.content().items() if table != "brand"}


@settings(max_examples=25)
@given(page=feeds.pages(known=2))
def test_any_page_is_as_its_products_one_after_the_other(
    catalog: Catalog, page: list[Payload]
) -> None:
    assert at_once(catalog, page) == one_after_the_other(catalog, page)


UNPRICED = {"external_id": "v-a", "sku": "sku-a"}


@pytest.mark.parametrize(
    "page",
    [
        [product(1, title="Mug"), product(1, title="Cup")],
        [product(1, title="Mug"), product(1, title="Cup"), {"title": "Cup"}],
        [product(1, title="Mug"), {"title": "Mug", "description": "new"}],
        [product(1, title="Mug"), product(2, title="Mug"), {"title": "mug", "status": "draft"}],
        [{"title": "Mug"}, product(1, title="Mug")],
        [product(1, handle="mug"), product(1, handle=None)],
        [product(1, handle="mug"), product(1, handle="cup")],
        [product(1, variants=[variant("a")]), product(1, variants=[UNPRICED])],
        [product(1, sku="a"), product(1, variants=[{"sku": "a", "prices": [price("1")]}])],
        [product(1, variants=[variant("a")]), product(1, sku="b")],
        [product(1, sku="a"), product(1, variants=None)],
        [product(1, variants=[variant("a")]), product(1, variants=None)],
        [product(1, brand="Acme"), product(2, brand="ACME"), product(1, brand="Other")],
    ],
)
def test_a_page_is_as_its_products_one_after_the_other(
    catalog: Catalog, page: list[Payload]
) -> None:
    assert at_once(catalog, page) == one_after_the_other(catalog, page)


def test_an_external_id_adopts_a_product_of_the_same_page_by_its_handle(catalog: Catalog) -> None:
    page = catalog.take({"title": "Mug"}, product(1, title="Mug", handle="mug"))

    assert page.actions == ["create"]
    assert page.rows[0].row.places == ((1, 0), (1, 1))
