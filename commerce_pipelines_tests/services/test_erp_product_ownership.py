"""Of one product some is the PIM's and some the ERP's, and neither overwrites the other."""

from __future__ import annotations

import pytest

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.factories import product, variant
from commerce_pipelines_tests.services.erp_by_hand import FakeErp, details, erp_variant
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


def test_a_product_that_the_pim_has_brought_gets_only_what_is_the_erps(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    catalog.take(product(1, title="Fine mug", variants=[variant("1-S"), variant("1-M", "M")]))
    erp.put("P1", details("MUG 1", erp_variant("1-S"), erp_variant("1-M"), description="x"))

    synced = sync(ledger, erp)

    assert counts(synced) == {"updated": 1}
    assert shown(catalog) == [
        ("Fine mug", "published", "M", "sku-1-M", "E1-M"),
        ("Fine mug", "published", "S", "sku-1-S", "E1-S"),
    ]
    assert catalog.values("SELECT description FROM product") == [None]
    assert catalog.rows("SELECT count(*) FROM price") == [(2,)]


def test_the_pim_takes_over_what_the_erp_brought_instead_of_doubling_it(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    erp.put("P1", details("MUG 1", erp_variant("1-S"), erp_variant("1-M")))
    sync(ledger, erp)
    ids = catalog.values("SELECT id FROM variant ORDER BY sku")

    page = catalog.take(
        product(1, title="Fine mug", variants=[variant("1-S"), variant("1-M", "M")])
    )

    assert page.actions == ["update"]
    assert shown(catalog) == [
        ("Fine mug", "published", "M", "sku-1-M", "E1-M"),
        ("Fine mug", "published", "S", "sku-1-S", "E1-S"),
    ]
    assert catalog.values("SELECT id FROM variant ORDER BY sku") == ids
    assert counts(sync(ledger, erp, whole=True)) == {"unchanged": 1}
    assert catalog.take(
        product(1, title="Finer mug", variants=[variant("1-S"), variant("1-M", "M")])
    ).actions == ["update"]
    assert catalog.values("SELECT id FROM variant ORDER BY sku") == ids


@pytest.mark.parametrize("first", ["pim", "erp"])
def test_the_erps_sku_counts_whatever_the_pim_says(
    ledger: Ledger, erp: FakeErp, catalog: Catalog, first: str
) -> None:
    body = product(1, variants=[variant("1-S", sku="same")])
    erp.put("P1", details("Mug", erp_variant("1-S", sku="same")))
    if first == "pim":
        catalog.take(body)
    sync(ledger, erp)
    catalog.take(body)

    erp.put("P1", details("Mug", erp_variant("1-S", sku="renamed")))
    assert counts(sync(ledger, erp)) == {"updated": 1}
    catalog.take(product(1, title="New title", variants=[variant("1-S", sku="same")]))
    catalog.take(product(1, title="Newer title", variants=[variant("1-S", sku=None)]))

    assert catalog.rows("SELECT sku FROM variant") == [("renamed",)]
    assert catalog.rows("SELECT title FROM product") == [("Newer title",)]


def test_a_variant_that_the_erp_knows_outlives_a_list_of_the_pim_without_it(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    catalog.take(product(1, variants=[variant("1-S"), variant("1-M"), variant("1-L")]))
    erp.put("P1", details("Mug", erp_variant("1-S"), erp_variant("1-M")))
    sync(ledger, erp)

    catalog.take(product(1, variants=[variant("1-S")]))

    assert catalog.values("SELECT sku FROM variant ORDER BY sku") == ["sku-1-M", "sku-1-S"]


def test_a_variant_that_the_erp_lists_no_longer_cannot_be_bought(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    catalog.take(product(1, title="Both", variants=[variant("1-S"), variant("1-M", "M")]))
    erp.put("P1", details("Mug", erp_variant("1-S"), erp_variant("1-M")))
    erp.put("P2", details("Only there", erp_variant("2-S"), erp_variant("2-M")))
    sync(ledger, erp)

    erp.put("P1", details("Mug", erp_variant("1-S")))
    erp.put("P2", details("Only there", erp_variant("2-S"), erp_variant("3-S", sku="sku-1-M")))
    sync(ledger, erp)

    assert shown(catalog) == [
        ("Both", "published", "S", "sku-1-S", "E1-S"),
        ("Both", "published", "M", None, None),
        ("Only there", "published", "3-S", "sku-1-M", "E3-S"),
        ("Only there", "published", "2-S", "sku-2-S", "E2-S"),
    ]


def test_a_deactivated_product_is_withdrawn_and_comes_back_as_it_was(
    ledger: Ledger, erp: FakeErp, catalog: Catalog
) -> None:
    catalog.take(product(1, title="Both", variants=[variant("1-S")]))
    there = details("Mug", erp_variant("1-S")), details("Only there", erp_variant("2-S"))
    erp.put("P1", there[0])
    erp.put("P2", there[1])
    sync(ledger, erp)
    before = shown(catalog), catalog.values("SELECT id FROM variant ORDER BY id")

    erp.put("P1", there[0], active=False)
    erp.put("P2", there[1], active=False)
    erp.put("P3", details("Never seen", erp_variant("3-S")), active=False)
    assert counts(sync(ledger, erp)) == {"updated": 2, "unchanged": 1}
    assert shown(catalog) == [
        ("Both", "published", "S", "sku-1-S", None),
        ("Only there", "archived", "2-S", "sku-2-S", None),
    ]

    erp.put("P1", there[0])
    erp.put("P2", there[1])
    sync(ledger, erp)
    assert (shown(catalog), catalog.values("SELECT id FROM variant ORDER BY id")) == before
