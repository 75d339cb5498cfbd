"""Many small deliveries about few products: few pages, and each product once in each."""

from __future__ import annotations

from itertools import pairwise

from commerce_pipelines.services.pim_import import MOST_PRODUCTS, TOPIC, deliver
from commerce_pipelines.store.message_claims import count_pages
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop

DELIVERIES, PRODUCTS = 10_000, 200


def test_a_backlog_of_ten_thousand_drains_in_full_pages(shop: Shop, cms: Cms) -> None:
    _deliver(shop, DELIVERIES, PRODUCTS)
    with shop.engine.connect() as connection:
        expected = count_pages(connection, TOPIC, most_items=MOST_PRODUCTS)

    pages = shop.run()

    assert len(pages) == expected == DELIVERIES // MOST_PRODUCTS
    assert shop.rows("SELECT state, count(*) FROM message GROUP BY state") == [("done", DELIVERIES)]
    newest = sorted(f"Number {number}" for number in range(DELIVERIES - PRODUCTS, DELIVERIES))
    assert shop.titles() == newest
    assert cms.titles() == newest


def test_a_page_writes_a_product_and_its_document_once_however_often_it_was_delivered(
    shop: Shop, cms: Cms
) -> None:
    _deliver(shop, deliveries=60, products=3)

    (page,) = shop.run()

    assert (page["created"], page["documents_written"]) == (3, 3)
    assert shop.values("SELECT version FROM product") == [1, 1, 1]
    assert len(cms.transactions()) == 1
    assert cms.titles() == ["Number 57", "Number 58", "Number 59"]


def test_a_product_only_moves_forward_from_page_to_page(shop: Shop) -> None:
    for _ in range(3):
        first = len(shop.values("SELECT id FROM message"))
        _deliver(shop, deliveries=20, products=2, first=first)
        shop.run()

    seen = shop.values(
        "SELECT before->>'title' FROM product_revision WHERE before IS NOT NULL ORDER BY version, 1"
    )
    numbers = [int(title.removeprefix("Number ")) for title in seen]
    assert numbers == [18, 19, 38, 39]
    assert all(earlier < later for earlier, later in pairwise(numbers))


def _deliver(shop: Shop, deliveries: int, products: int, first: int = 0) -> None:
    """Receives deliveries of one product each; the newer one has the higher number."""
    with shop.engine.begin() as connection:
        for number in range(first, first + deliveries):
            product = {"external_id": f"p{number % products}", "title": f"Number {number}"}
            deliver(connection, "pim", f"d{number}", [product])
