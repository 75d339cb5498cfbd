"""Products from the inbox into the store and into Sanity's documents."""

from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines.errors import Busy
from commerce_pipelines_tests.factories import full_product, product
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import InterruptedSanity, Shop


def test_products_become_rows_and_documents(shop: Shop, cms: Cms) -> None:
    message = shop.receive(full_product(1), product(2))

    (written,) = shop.run()

    assert written == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "rejected": 0,
        "documents_written": 2,
        "documents_unchanged": 0,
    }
    assert shop.titles() == cms.titles() == ["Product 1", "Product 2"]
    assert shop.values("SELECT status FROM saga") == ["succeeded"]
    assert shop.values("SELECT state FROM message WHERE topic = 'products'") == ["done"]
    outcome = shop.outcome(message)
    assert outcome["created"] == 2
    assert sorted(outcome["products"]) == sorted(shop.values("SELECT id FROM product"))


def test_a_document_shows_what_the_feed_says(shop: Shop, cms: Cms) -> None:
    shop.take(full_product(1))

    document = cms.documents()["Product 1"]
    variants = document.pop("variants")
    for name in ("_id", "_rev", "_createdAt", "_updatedAt", "productId"):
        assert document.pop(name)
    assert document == {
        "_type": "product",
        "title": "Product 1",
        "handle": "product-1",
        "slug": {"_type": "slug", "current": "product-1"},
        "description": "Description 1",
        "status": "published",
        "brand": "Acme",
        "externalId": "e1",
        "images": [
            {
                "_key": document["images"][0]["_key"],
                "_type": "productImage",
                "url": "https://example.com/1.jpg",
            }
        ],
        "options": [
            {
                "_key": document["options"][0]["_key"],
                "_type": "productOption",
                "title": "Size",
                "values": ["S", "M"],
            }
        ],
    }
    assert [variant["sku"] for variant in variants] == ["sku-1-S", "sku-1-M"]


def test_an_unchanged_product_sends_no_mutation(shop: Shop, cms: Cms) -> None:
    shop.take(full_product(1), product(2))
    sent = cms.mutation_requests()

    again = shop.take(full_product(1), product(2))

    assert (again["unchanged"], again["documents_written"]) == (2, 0)
    assert cms.mutation_requests() == sent


def test_a_change_that_no_document_shows_sends_no_mutation(shop: Shop, cms: Cms) -> None:
    shop.take(full_product(1))
    sent = cms.mutation_requests()

    again = shop.take(product(1, metadata={"colour": "blue"}))

    assert (again["updated"], again["documents_written"], again["documents_unchanged"]) == (1, 0, 1)
    assert cms.mutation_requests() == sent


def test_only_what_changed_is_written(shop: Shop, cms: Cms) -> None:
    shop.take(product(1), product(2))
    untouched = cms.documents()["Product 2"]

    written = shop.take(product(1, title="New"), product(2))

    assert (written["updated"], written["documents_written"]) == (1, 1)
    assert cms.documents()["Product 2"] == untouched
    assert cms.titles() == ["New", "Product 2"]


def test_a_field_that_the_feed_clears_is_gone_from_the_document(shop: Shop, cms: Cms) -> None:
    shop.take(full_product(1))

    shop.take(product(1, description=None, brand=None))

    document = cms.documents()["Product 1"]
    assert "description" not in document
    assert "brand" not in document


def test_one_bad_product_does_not_stop_the_others(shop: Shop, cms: Cms) -> None:
    good: list[Any] = [product(number) for number in range(50)]
    message = shop.receive(*good[:20], {"title": ""}, *good[20:])

    (written,) = shop.run()

    assert (written["created"], written["rejected"], written["documents_written"]) == (50, 1, 50)
    outcome = shop.outcome(message)
    assert [each["position"] for each in outcome["rejected"]] == [20]
    assert outcome["rejected"][0]["field"] == "title"
    assert [at for at, id_ in enumerate(outcome["products"]) if id_ is None] == [20]
    assert len(cms.documents()) == 50


def test_a_body_that_is_no_list_is_dead_and_takes_nobody_with_it(shop: Shop) -> None:
    bad = shop.receive(product(1))
    shop.change("UPDATE message SET body = convert_to('{\"a\": 1}', 'UTF8')")
    shop.receive(product(2))

    shop.run()

    assert shop.rows("SELECT id = :bad, state FROM message ORDER BY id", bad=bad) == [
        (True, "dead"),
        (False, "done"),
    ]
    assert shop.titles() == ["Product 2"]


def test_one_page_takes_many_messages_and_the_newest_word_counts(shop: Shop, cms: Cms) -> None:
    ids = [shop.receive(product(1, title=f"Title {n}"), product(10 + n)) for n in range(3)]

    (written,) = shop.run()

    assert written["created"] == 4
    assert "Title 2" in cms.titles()
    assert "Title 0" not in cms.titles()
    mug = {shop.outcome(message)["products"][0] for message in ids}
    assert len(mug) == 1


def test_a_large_list_is_written_in_transactions_of_bounded_size(shop: Shop, cms: Cms) -> None:
    written = shop.take(*(product(n, description="x" * 2_000) for n in range(2_500)))

    assert written["documents_written"] == 2_500
    assert shop.values("SELECT count(*) FROM saga_step WHERE name = 'sanity.write_documents'") == [
        2
    ]
    assert len(cms.documents()) == 2_500


def test_fields_of_editors_are_kept(shop: Shop, cms: Cms) -> None:
    shop.take(full_product(1))
    document = cms.documents()["Product 1"]["_id"]
    cms.edit(document, set={"story": "Made by hand", "seo": {"title": "Mug"}})

    shop.take(product(1, title="New"))

    assert cms.documents()["New"]["story"] == "Made by hand"
    assert cms.documents()["New"]["seo"] == {"title": "Mug"}


def test_a_field_of_the_feed_follows_the_feed_again(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    cms.edit(cms.documents()["Product 1"]["_id"], set={"title": "Edited"})

    shop.take(product(1, title="New"))

    assert cms.titles() == ["New"]


def test_a_seeded_field_is_given_once_and_then_belongs_to_the_editors(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    slug = {"_type": "slug", "current": "edited"}
    cms.edit(cms.documents()["Product 1"]["_id"], set={"slug": slug})

    shop.take(product(1, title="New", handle="new"))

    assert cms.documents()["New"]["slug"] == slug
    assert cms.documents()["New"]["handle"] == "new"


def test_a_document_that_an_editor_made_is_filled_in(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    document = cms.documents()["Product 1"]
    cms.delete(document["_id"])
    cms.create(_id=document["_id"], _type="product", story="Made by hand")

    shop.take(product(1, title="New"))

    assert cms.documents()["New"]["story"] == "Made by hand"
    assert cms.documents()["New"]["slug"]["current"] == "product-1"


def test_a_document_that_an_editor_deleted_is_made_again_with_the_next_change(
    shop: Shop, cms: Cms
) -> None:
    shop.take(product(1))
    cms.delete(cms.documents()["Product 1"]["_id"])

    shop.take(product(1, title="New"))

    assert cms.titles() == ["New"]


def test_an_archived_product_marks_its_document(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))

    shop.take(product(1, status="archived"))

    assert cms.documents()["Product 1"]["status"] == "archived"


def test_an_edit_between_reading_and_writing_is_kept(
    shop: Shop, cms: Cms, interrupted: InterruptedSanity
) -> None:
    shop.take(product(1))
    document = cms.documents()["Product 1"]["_id"]
    edits = iter([{"story": "first"}, {"story": "second"}])

    def edit_meanwhile() -> None:
        if edit := next(edits, None):
            cms.edit(document, set=edit)

    interrupted.before_write = edit_meanwhile
    shop.receive(product(1, title="New"))
    (written,) = Shop(shop.ledger, interrupted).run()

    assert written["documents_written"] == 1
    assert cms.documents()["New"]["story"] == "second"
    assert shop.values("SELECT count(*) FROM saga_step WHERE state = 'refused'") == [2]


def test_editors_that_never_stop_make_the_import_come_back_later(
    shop: Shop, cms: Cms, interrupted: InterruptedSanity
) -> None:
    shop.take(product(1))
    document = cms.documents()["Product 1"]["_id"]
    interrupted.before_write = lambda: cms.edit(
        document, inc={"views": 1}, setIfMissing={"views": 0}
    )
    shop.receive(product(1, title="New"))

    with pytest.raises(Busy):
        Shop(shop.ledger, interrupted).run()
    assert shop.recover() == {"compensated": 1}
    assert shop.titles() == cms.titles() == ["Product 1"]

    shop.make_due()
    shop.run()
    assert shop.titles() == cms.titles() == ["New"]


def test_a_page_that_an_op_repeats_has_one_effect(shop: Shop, cms: Cms) -> None:
    shop.receive(product(1), product(2))
    flow = shop.flow()
    opened = flow.open_page()
    assert opened is not None

    stored = [flow.store_page(opened) for _ in range(2)]
    flow.publish_page(opened.saga_id)

    assert stored[0] == stored[1]
    assert shop.values("SELECT version FROM product") == [1, 1]
    assert len(cms.transactions()) == 1


def test_an_empty_inbox_opens_no_saga(shop: Shop) -> None:
    assert shop.flow().open_page() is None
    assert shop.values("SELECT count(*) FROM saga") == [0]


def test_a_message_that_kills_its_run_each_time_is_dead_in_the_end(shop: Shop) -> None:
    shop.receive(product(1))
    for _ in range(10):
        assert shop.flow().open_page() is not None
        shop.make_due()
        shop.recover()
        shop.make_due()

    assert shop.flow().open_page() is None
    assert shop.values("SELECT state FROM message") == ["dead"]
    assert shop.values("SELECT count(*) FROM saga WHERE status <> 'compensated'") == [0]
