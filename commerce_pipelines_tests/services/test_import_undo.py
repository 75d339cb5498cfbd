"""An import that fails in Sanity is taken back on both sides."""

from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines_tests.factories import full_product, product
from commerce_pipelines_tests.services.cms import Cms, without_revisions
from commerce_pipelines_tests.services.shop import InterruptedSanity, Shop
from commerce_pipelines_tests.store.catalog import Catalog


@pytest.fixture
def catalog(shop: Shop) -> Catalog:
    """What the store holds."""
    return Catalog(shop.engine)


def publish_and_die(shop: Shop, *products: Any) -> str:
    """Writes a page on both sides in a run that dies before it ends the saga."""
    shop.receive(*products)
    flow = shop.flow()
    opened = flow.open_page()
    assert opened is not None
    flow.store_page(opened)
    shop.change(
        """CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'killed'; END $$""",
    )
    shop.change("CREATE TRIGGER die BEFORE INSERT ON product_document EXECUTE FUNCTION die()")
    with pytest.raises(Exception, match="killed"):
        flow.publish_page(opened.saga_id)
    shop.change("DROP FUNCTION die CASCADE")
    return opened.saga_id


def test_what_was_created_is_deleted_and_what_was_changed_restored(
    shop: Shop, cms: Cms, catalog: Catalog
) -> None:
    shop.take(full_product(1), full_product(2, variants=[], handle="two"), product(3))
    store, documents = catalog.dump(), cms.documents()

    publish_and_die(
        shop,
        product(1, title="New", description=None, brand="Other", variants=[], images=[]),
        product(2, description=None),
        product(4),
    )
    assert cms.titles() == ["New", "Product 2", "Product 3", "Product 4"]

    assert shop.recover() == {"compensated": 1}
    assert catalog.dump() == store
    assert without_revisions(cms.documents()) == without_revisions(documents)


def test_another_field_that_was_edited_meanwhile_is_kept(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    publish_and_die(shop, product(1, title="New"))
    cms.edit(cms.documents()["New"]["_id"], set={"story": "Made by hand"})

    assert shop.recover() == {"compensated": 1}

    assert cms.titles() == ["Product 1"]
    assert cms.documents()["Product 1"]["story"] == "Made by hand"


def test_our_field_that_was_edited_meanwhile_is_kept(shop: Shop, cms: Cms) -> None:
    shop.take(product(1, description="old"))
    publish_and_die(shop, product(1, title="New", description="new"))
    cms.edit(cms.documents()["New"]["_id"], set={"title": "Edited"})

    assert shop.recover() == {"compensated": 1}

    assert cms.documents()["Edited"]["description"] == "old"


def test_an_edit_while_it_is_taken_back_is_kept(
    shop: Shop, cms: Cms, interrupted: InterruptedSanity
) -> None:
    shop.take(product(1))
    publish_and_die(shop, product(1, title="New"), product(2))
    documents = cms.documents()
    edits = iter(["New", "Product 2"])

    def edit_meanwhile() -> None:
        if title := next(edits, None):
            cms.edit(documents[title]["_id"], set={"title": f"{title}, edited"})

    interrupted.before_write = edit_meanwhile

    assert Shop(shop.ledger, interrupted).recover() == {"compensated": 1}

    assert cms.titles() == ["New, edited", "Product 2, edited"]
    assert shop.titles() == ["Product 1"]


def test_a_document_of_which_nothing_is_ours_any_more_is_superseded(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    saga = publish_and_die(shop, product(1, title="New"))
    document = cms.documents()["New"]
    ours = document.keys() - {"_id", "_type", "_rev", "_createdAt", "_updatedAt"}
    cms.edit(document["_id"], set=dict.fromkeys([*ours, "description", "brand"], "edited"))

    assert shop.recover() == {"compensated": 1}

    assert cms.documents()["edited"]["handle"] == "edited"
    assert shop.rows(
        "SELECT name, state FROM saga_step WHERE saga_id = :id ORDER BY seq", id=saga
    ) == [
        ("store.upsert_products", "undone"),
        ("sanity.write_documents", "superseded"),
    ]


def test_a_created_document_that_was_edited_keeps_the_edit(shop: Shop, cms: Cms) -> None:
    publish_and_die(shop, product(1))
    document = cms.documents()["Product 1"]["_id"]
    cms.edit(document, set={"story": "Made by hand"})

    assert shop.recover() == {"compensated": 1}

    (kept,) = cms.documents().values()
    assert kept["story"] == "Made by hand"
    assert "title" not in kept


def test_a_created_document_that_somebody_deleted_is_no_trouble(shop: Shop, cms: Cms) -> None:
    publish_and_die(shop, product(1))
    cms.delete(cms.documents()["Product 1"]["_id"])

    assert shop.recover() == {"compensated": 1}
    assert cms.documents() == {}


def test_a_created_document_that_others_refer_to_is_parked(shop: Shop, cms: Cms) -> None:
    saga = publish_and_die(shop, product(1), product(2))
    referenced = cms.documents()["Product 1"]["_id"]
    cms.create(_type="page", title="Page", about={"_type": "reference", "_ref": referenced})

    assert shop.recover() == {"parked": 1}

    assert cms.titles() == ["Page", "Product 1"]
    (reason,) = shop.values("SELECT reason FROM saga WHERE saga_id = :saga", saga=saga)
    assert referenced in reason
    assert shop.titles() == ["Product 1", "Product 2"]


def test_a_delete_that_sanity_refuses_is_parked(shop: Shop, cms: Cms) -> None:
    publish_and_die(shop, product(1))
    cms.fault("refuse_delete", times=None)

    assert shop.recover() == {"parked": 1}
    assert shop.titles() == cms.titles() == ["Product 1"]


def test_an_undo_that_sanity_does_not_answer_is_tried_again(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    publish_and_die(shop, product(1, title="New"), product(2))
    cms.fault("unavailable_before", times=None)
    assert shop.recover() == {"later": 1}
    cms.heal()

    shop.make_due()
    assert shop.recover() == {"compensated": 1}
    assert shop.titles() == cms.titles() == ["Product 1"]


@pytest.mark.parametrize("kind", ["unavailable_after", "lost_answer"])
def test_an_undo_whose_answer_is_lost_is_done_once(shop: Shop, cms: Cms, kind: str) -> None:
    shop.take(product(1))
    publish_and_die(shop, product(1, title="New"), product(2))
    before = len(cms.transactions())
    cms.fault(kind)

    assert shop.recover() == {"compensated": 1}

    assert len(cms.transactions()) == before + 1
    assert shop.titles() == cms.titles() == ["Product 1"]


def test_a_run_that_dies_after_the_store_is_undone_by_the_sweep(shop: Shop, cms: Cms) -> None:
    shop.receive(product(1))
    flow = shop.flow()
    opened = flow.open_page()
    assert opened is not None
    flow.store_page(opened)

    assert shop.recover() == {}
    shop.make_due()
    assert shop.recover() == {"compensated": 1}
    assert (shop.titles(), cms.mutation_requests()) == ([], 0)

    shop.make_due()
    shop.run()
    assert shop.titles() == cms.titles() == ["Product 1"]


def test_many_documents_that_others_refer_to_are_all_named(shop: Shop, cms: Cms) -> None:
    publish_and_die(shop, *(product(number) for number in range(1, 9)))
    documents = cms.documents()
    for number in range(1, 8):
        about = {"_type": "reference", "_ref": documents[f"Product {number}"]["_id"]}
        cms.create(_id=f"page-{number}", _type="page", title=f"Page {number}", about=about)

    assert shop.recover() == {"parked": 1}

    (reason,) = shop.values("SELECT reason FROM saga")
    assert all(f"(from page-{number})" in reason for number in range(1, 8))
    assert "Product 8" not in cms.titles()
