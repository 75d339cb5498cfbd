"""The ERP's products come into the store once, page by page, and what is cut off is taken back."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import text

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.domain.erp_feed import feed_page
from commerce_pipelines.errors import Busy, Unavailable
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.services import erp_product_sync, recovery
from commerce_pipelines.services.erp_product_sync import ErpProductSync
from commerce_pipelines_tests.factories import product, variant
from commerce_pipelines_tests.services.erp_by_hand import FakeErp, details, erp_variant, failing
from commerce_pipelines_tests.services.erp_syncs import counts, shown, sync
from commerce_pipelines_tests.store.catalog import Catalog


@pytest.fixture
def erp() -> FakeErp:
    """An empty ERP."""
    return FakeErp()


@pytest.fixture
def catalog(ledger: Ledger) -> Catalog:
    """The store, and the PIM's words to it."""
    return Catalog(ledger.engine)


def test_a_product_that_only_the_erp_has_can_be_bought_with_its_ids(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    erp.put("P1", details("Mug", erp_variant("1-S"), erp_variant("1-M"), description="Blue"))

    synced = sync(ledger, erp)

    assert counts(synced) == {"created": 1}
    assert shown(catalog) == [
        ("Mug", "published", "1-M", "sku-1-M", "E1-M"),
        ("Mug", "published", "1-S", "sku-1-S", "E1-S"),
    ]
    assert catalog.rows("SELECT description, handle FROM product") == [("Blue", "mug")]
    assert catalog.rows("SELECT title, values FROM product_option") == [("Size", ["S", "M"])]
    assert catalog.rows("SELECT entity, external_id FROM external_id WHERE entity='product'") == [
        ("product", "P1")
    ]


def test_what_is_unchanged_costs_no_write(ledger: Ledger, erp: FakeErp, catalog: Catalog) -> None:
    for number in range(5):
        erp.put(f"P{number}", details(f"Mug {number}", erp_variant(f"{number}-S")))
    sync(ledger, erp)
    before = catalog.rows("SELECT id, version, xmin::text FROM product ORDER BY id")

    again = sync(ledger, erp, whole=True)

    assert counts(again) == {"unchanged": 5}
    assert catalog.rows("SELECT id, version, xmin::text FROM product ORDER BY id") == before


def test_the_next_sync_asks_for_what_changed_since_and_skips_no_equal_time(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    first = erp.put("P1", details("Mug", erp_variant("1-S")))
    sync(ledger, erp)
    late = erp.put("P2", details("Cup", erp_variant("2-S")))
    erp.products["P2"] = dataclasses.replace(late, changed_at=first.changed_at)

    synced = sync(ledger, erp)

    assert synced.since == first.changed_at
    assert counts(synced) == {"created": 1, "unchanged": 1}


def test_an_interrupted_sync_goes_on_from_its_last_page(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    for number in range(6):
        erp.put(f"P{number}", details(f"Mug {number}", erp_variant(f"{number}-S")))
    erp.script("fetch_products", int, int, failing(Unavailable("away")))
    with pytest.raises(Unavailable):
        sync(ledger, erp)
    assert len(catalog.rows("SELECT FROM product")) == 4

    synced = sync(ledger, erp)

    assert synced.since is not None
    assert counts(synced) == {"created": 2, "unchanged": 1}
    assert len(catalog.rows("SELECT FROM product")) == 6


def test_what_cannot_be_taken_is_told_and_read_again_by_the_next_sync(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    erp.rejected = (RejectedRecord("P9", "has no title"),)
    catalog.take(product(1, variants=[variant("1-S")]), product(2, variants=[variant("2-S")]))
    erp.put("P1", details("Two in one", erp_variant("1-S"), erp_variant("2-S")))
    erp.put("P2", details(" ", erp_variant("3-S")))

    synced = sync(ledger, erp)

    assert [(each["external_id"], each["reason"][:20]) for each in synced.rejected] == [
        ("P9", "has no title"),
        ("P2", "String should have a"),
        ("P1", "sku-1-S belongs to a"),
    ]
    catalog.take(
        product(1, title="Gone", variants=[variant("1-S"), variant("2-S")]),
        product(2, title="Other", variants=[]),
    )
    erp.rejected = ()
    erp.put("P2", details("Fine", erp_variant("3-S")))
    assert sync(ledger, erp).since is None
    assert sync(ledger, erp).since is not None
    assert catalog.rows("SELECT count(*) FROM external_id WHERE system = 'erp'") == [(5,)]


def test_a_page_whose_products_are_held_waits_for_them(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    page = catalog.take(product(1, variants=[variant("1-S")]))
    catalog.hold(page.saga_id, "running")
    erp.put("P1", details("Mug", erp_variant("1-S")))
    waits = []

    def wait(_: float) -> None:
        waits.append(1)
        if len(waits) == 2:
            catalog.execute(
                "UPDATE saga SET status = 'succeeded', finished_at = now() "
                f"WHERE saga_id = '{page.saga_id}'"
            )

    flow = ErpProductSync(ledger, erp, "run", sleep=wait)
    assert counts(flow.sync(None)) == {"updated": 1}


def test_products_that_are_held_for_too_long_fail_the_sync(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    page = catalog.take(product(1, variants=[variant("1-S")]))
    catalog.hold(page.saga_id, "running")
    erp.put("P1", details("Mug", erp_variant("1-S")))

    with pytest.raises(Busy):
        sync(ledger, erp)

    assert catalog.values("SELECT count(*) FROM watermark") == [0]


def test_a_second_sync_leaves_it_to_the_first(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    erp.put("P1", details("Mug", erp_variant("1-S")))
    with ledger.engine.begin() as connection:
        ledger.begin(
            connection,
            saga_id="other",
            kind=erp_product_sync.KIND,
            lock_key=erp_product_sync.LOCK_KEY,
            run_id="other",
        )

    assert sync(ledger, erp).left_to_another


def test_the_undo_of_a_page_leaves_nothing_of_it(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    catalog.take(product(1, variants=[variant("1-S"), variant("1-M", "M")]))
    erp.put("P1", details("Mug", erp_variant("1-S"), erp_variant("1-M")))
    erp.put("P2", details("Cup", erp_variant("2-S")))
    sync(ledger, erp)
    before = catalog.dump()
    mark = catalog.rows("SELECT at FROM watermark")
    erp.put("P1", details("Mug", erp_variant("1-S", sku="other"), erp_variant("1-L")))
    erp.put("P2", details("Cup", erp_variant("2-S")), active=False)
    erp.put("P3", details("Pot", erp_variant("3-S")))
    erp.page_size = 10
    flow = ErpProductSync(ledger, erp, "dies")
    (page,) = erp.fetch_products(flow.find_start())
    # What a kill between the step and the end of its saga leaves.
    result = flow.store_page(page)
    assert result
    assert catalog.dump() != before
    with ledger.engine.begin() as connection:
        (saga_id,) = connection.execute(
            text("SELECT saga_id FROM saga ORDER BY created_at DESC LIMIT 1")
        ).one()
        step = erp_product_sync.StorePage()
        step.undo(connection, saga_id, {}, result)

    assert catalog.dump() == before
    assert catalog.rows("SELECT at FROM watermark") == mark
    assert sync(ledger, erp).counts["updated"] == 2


def test_a_page_that_was_given_up_is_undone_by_the_sweep(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    erp.put("P1", details("Mug", erp_variant("1-S")))
    with ledger.engine.begin() as connection:
        claim = ledger.begin(
            connection, saga_id="dead", kind=erp_product_sync.KIND, lock_key="x", run_id="dead"
        )
    (page,) = erp.fetch_products(None)
    Saga(ledger, claim).take(
        erp_product_sync.StorePage(feed_page(page.products)[0], page.reached), {"ids": ["P1"]}
    )
    catalog.execute("UPDATE saga SET lease_until = now() - interval '1 s'")

    kinds = {erp_product_sync.KIND: erp_product_sync.steps()}
    assert dict(recovery.sweep(Compensator(ledger, kinds), "sweep")) == {"compensated": 1}
    assert catalog.rows("SELECT FROM product") == catalog.rows("SELECT FROM watermark") == []
