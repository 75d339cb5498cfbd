"""Imports at the same time, with real commits."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from commerce_pipelines_tests.factories import Payload, feed_items, full_product, product, variant
from commerce_pipelines_tests.store.catalog import Catalog, Imported


def at_once(catalog: Catalog, pages: list[list[Payload]]) -> list[Imported]:
    """Imports pages in threads that start together."""
    start = threading.Barrier(len(pages))

    def take(number: int) -> Imported:
        items = feed_items(pages[number], message_id=number + 1)
        start.wait(60)
        return catalog.take_items(items, f"thread-{number}")

    with ThreadPoolExecutor(len(pages)) as pool:
        return list(pool.map(take, range(len(pages))))


def test_a_brand_in_two_imports_at_once_is_one_row(catalog: Catalog) -> None:
    spellings = ["Acme", "ACME", "acmé", "Ácme"]
    pages = [[product(at, brand=brand)] for at, brand in enumerate(spellings)]

    at_once(catalog, pages)

    assert catalog.counts()["brand"] == 1
    assert catalog.values("SELECT count(DISTINCT brand_id) FROM product") == [1]


def test_one_title_in_imports_at_once_gets_a_handle_for_each_product(catalog: Catalog) -> None:
    at_once(catalog, [[product(at, title="Mug")] for at in range(4)])

    assert catalog.values("SELECT handle FROM product ORDER BY handle") == [
        "mug",
        "mug-2",
        "mug-3",
        "mug-4",
    ]


def test_one_product_in_imports_at_once_is_one_row_with_the_newest_word(catalog: Catalog) -> None:
    at_once(catalog, [[product(1, title=f"Title {at}")] for at in range(4)])

    assert catalog.values("SELECT title FROM product") == ["Title 3"]


def test_pages_that_overlap_in_any_order_do_not_lock_each_other_out(catalog: Catalog) -> None:
    shuffled = random.Random(7)

    def page(version: int) -> list[Payload]:
        products = [
            full_product(n, title=f"{n} {version}", variants=[variant(f"{n}")]) for n in range(120)
        ]
        shuffled.shuffle(products)
        return products

    for _ in range(3):
        imported = at_once(catalog, [page(version) for version in range(4)])
        assert not any(each.rejected for each in imported)

    assert catalog.counts()["product"] == catalog.counts()["variant"] == 120
    assert catalog.values("SELECT count(*) FROM product WHERE title LIKE '% 3'") == [120]


def test_imports_and_undos_at_once_leave_whole_products(catalog: Catalog) -> None:
    catalog.take(*(full_product(n, variants=[variant(f"{n}")]) for n in range(40)))
    ours = catalog.take(*(product(n, title="Ours") for n in range(40)))
    theirs = feed_items([product(n, title="Theirs") for n in range(20, 40)], message_id=9)
    work: list[Callable[[], object]] = [
        lambda: catalog.undo(ours),
        lambda: catalog.take_items(theirs, "theirs"),
    ]

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(each) for each in work]:
            done.result()

    titles = catalog.values("SELECT title FROM product ORDER BY title")
    assert titles.count("Theirs") == 20
    assert "Ours" not in titles
    assert catalog.counts()["variant"] == catalog.counts()["price"] == 40
