"""A product is changed here and in the ERP, in order, and what cannot be is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.errors import CommerceError, Conflict, InvalidInput, NotFound
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import product_update
from commerce_pipelines.services.erp_product_sync import ErpProductSync
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines_tests.factories import product, variant
from commerce_pipelines_tests.services.erp_by_hand import details, erp_variant
from commerce_pipelines_tests.services.update_ground import Ground, big


@pytest.fixture
def ground(ledger: Ledger) -> Ground:
    """The ground."""
    return Ground(ledger)


def test_both_sides_say_what_was_asked_for(ground: Ground) -> None:
    ground.ask(**big(ground))

    outcome = ground.work()

    assert outcome
    assert outcome["erp"]["external_id"] == "P1"
    assert ground.catalog.rows("SELECT title, description FROM product") == [("Mug, large", None)]
    assert ground.catalog.rows("""
        SELECT title, sku, e.external_id FROM variant
        JOIN external_id e ON internal_id = variant.id AND system = 'erp' ORDER BY position""") == [
        ("Small", "sku-small", "E1-S"),
        ("XL", "sku-xl", ground.there.variants[1].external_id),
    ]
    assert ground.there == details(
        "Mug, large",
        erp_variant("1-S", sku="sku-small", title="Small"),
        replace(
            erp_variant("1-XL"),
            external_id=ground.there.variants[1].external_id,
            sku="sku-xl",
            title="XL",
        ),
    )
    assert ground.catalog.rows("SELECT topic, state FROM message ORDER BY id") == [
        ("product_updates", "done"),
        # Its document follows.
        ("documents", "new"),
    ]


def test_what_was_changed_comes_not_back_as_news_of_the_erp(ground: Ground) -> None:
    ground.ask(**big(ground))
    ground.work()

    synced = ErpProductSync(ground.ledger, ground.erp, "sync").sync(None)

    assert (synced.counts["updated"], synced.counts["unchanged"]) == (0, 1)


def test_what_is_absent_stays_on_both_sides(ground: Ground) -> None:
    ground.ask(title="Cup")
    ground.work()

    assert ground.there == details("Cup", erp_variant("1-S"), erp_variant("1-M"), description="d")
    assert ground.catalog.rows("SELECT title, description FROM product") == [("Cup", "Blue")]
    assert ground.catalog.values("SELECT sku FROM variant ORDER BY sku") == ["sku-1-M", "sku-1-S"]


def test_a_variant_that_only_the_erp_has_is_not_removed_there(ground: Ground) -> None:
    ground.erp.put(
        "P1", details("MUG", erp_variant("1-S"), erp_variant("1-M"), erp_variant("1-ERP"))
    )
    ground.ask(variants=[{"id": ground.variant_id("sku-1-S")}])
    ground.work()

    assert [each.sku for each in ground.there.variants] == ["sku-1-S", "sku-1-ERP"]


def test_somebody_who_was_faster_in_the_erp_is_written_over_only_where_asked(
    ground: Ground,
) -> None:
    def change() -> None:
        ground.erp.put("P1", replace(ground.there, description="theirs"))

    ground.erp.script("write_product", change)
    ground.ask(title="Cup")

    assert ground.work()
    assert (ground.there.title, ground.there.description) == ("Cup", "theirs")
    assert ground.states() == ["done", "refused", "done", "done"]


def test_two_updates_of_a_product_are_done_one_after_the_other(ground: Ground) -> None:
    ground.ask(title="First")
    ground.ask(title="Second")
    first = ProductUpdate(ground.ledger, ground.erp, "one")
    saga_id = first.claim()
    assert saga_id

    assert ProductUpdate(ground.ledger, ground.erp, "two").claim() is None

    first.update(saga_id)
    assert ground.work()
    assert ground.there.title == "Second"
    assert ground.catalog.values("SELECT title FROM product") == ["Second"]


def test_an_update_waits_for_a_saga_that_holds_the_product(ground: Ground) -> None:
    ground.catalog.execute(
        "INSERT INTO saga (saga_id, kind, lock_key, status) VALUES ('import', 'pim_import', 'i', "
        "'running'); UPDATE product SET saga_id = 'import'"
    )
    ground.ask(title="Cup")
    with pytest.raises(CommerceError, match="changing"):
        ground.work()
    assert ground.recover()["compensated"] >= 1

    ground.catalog.execute("UPDATE message SET next_try_at = now()")
    assert ground.work()
    assert ground.there.title == "Cup"


def test_a_product_that_a_parked_saga_holds_is_refused(ground: Ground) -> None:
    ground.catalog.execute(
        "INSERT INTO saga (saga_id, kind, lock_key, status) VALUES ('stuck', 'product_update', "
        f"'{ground.product_id}', 'parked')"
    )
    ground.ask(title="Cup")

    assert ground.work() is None

    (outcome,) = ground.catalog.values(
        "SELECT outcome FROM message WHERE topic = 'product_updates'"
    )
    assert outcome["failed"]["error"] == "Conflict"
    assert "parked saga stuck" in outcome["rejected"][0]["reason"]


def test_what_cannot_be_is_refused_before_it_is_stored(ground: Ground) -> None:
    ground.catalog.take(product(2, variants=[variant("2-S")]))
    with pytest.raises(InvalidInput, match="no variant of this product"):
        ground.ask(variants=[{"id": "variant_x"}])
    with pytest.raises(Conflict, match="belongs to another product"):
        ground.ask(variants=[{"sku": "sku-2-S"}])
    (other,) = ground.catalog.values("SELECT id FROM product WHERE title = 'Product 2'")
    with ground.ledger.engine.begin() as connection:
        wish = ProductChanges(title="x")
        with pytest.raises(Conflict, match="no id in the ERP"):
            product_update.ask(connection, other, wish)
        with pytest.raises(NotFound):
            product_update.ask(connection, "prod_nobody", wish)
    assert ground.catalog.values(
        "SELECT count(*) FROM message WHERE topic = 'product_updates'"
    ) == [0]
