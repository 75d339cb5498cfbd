"""An import over a Sanity that does not answer, or too late."""

from __future__ import annotations

import time
from typing import Any

import pytest

from commerce_pipelines.errors import CommerceError, Unknown
from commerce_pipelines_tests.factories import full_product, product
from commerce_pipelines_tests.services.cms import Cms, without_revisions
from commerce_pipelines_tests.services.shop import InterruptedSanity, Shop
from commerce_pipelines_tests.store.catalog import Catalog


@pytest.fixture
def catalog(shop: Shop) -> Catalog:
    """What the store holds."""
    return Catalog(shop.engine)


ANSWERS_IN_TIME = [
    ("unavailable_before", {"times": 2}),
    ("unavailable_after", {}),
    ("lost_answer", {}),
    ("late", {"seconds": 0.05}),
    ("delay", {"seconds": 0.05}),
    ("rate_limited", {"seconds": 0.1}),
    ("html_error", {}),
    ("transaction_conflict", {}),
]


@pytest.mark.parametrize(("kind", "more"), ANSWERS_IN_TIME)
def test_a_passing_fault_leaves_both_sides_done_once(
    shop: Shop, cms: Cms, kind: str, more: dict[str, Any]
) -> None:
    cms.fault(kind, **more)

    shop.take(product(1), product(2))

    assert shop.titles() == cms.titles() == ["Product 1", "Product 2"]
    assert len(cms.transactions()) == 1
    assert shop.recover() == {}


LASTING = [
    ("unavailable_before", {}),
    ("unavailable_after", {}),
    ("lost_answer", {}),
    ("late", {"seconds": 0.3}),
    ("rate_limited", {"seconds": 5}),
    ("html_error", {}),
    ("transaction_conflict", {}),
]


@pytest.mark.parametrize(("kind", "more"), LASTING)
def test_a_lasting_fault_leaves_both_sides_as_before(
    shop: Shop, cms: Cms, catalog: Catalog, kind: str, more: dict[str, Any]
) -> None:
    shop.take(full_product(1), product(2))
    store, documents = catalog.dump(), cms.documents()
    cms.fault(kind, times=None, **more)
    shop.receive(product(1, title="New", brand="Other"), product(3))
    try:
        shop.run()
    except CommerceError:
        cms.heal()
        assert shop.recover() == {"compensated": 1}
        assert catalog.dump() == store
        assert without_revisions(cms.documents()) == without_revisions(documents)
    else:
        # What is applied although it is answered with an error is found to be there.
        assert kind in ("unavailable_after", "lost_answer", "late")
        assert shop.titles() == cms.titles() == ["New", "Product 2", "Product 3"]


@pytest.mark.parametrize(("kind", "more"), LASTING)
def test_after_a_lasting_fault_the_message_comes_again(
    shop: Shop, cms: Cms, kind: str, more: dict[str, Any]
) -> None:
    cms.fault(kind, times=None, **more)
    shop.receive(product(1), product(2))
    try:
        shop.run()
    except CommerceError as error:
        assert shop.values("SELECT last_error FROM message") == [str(error)]
    cms.heal()

    shop.recover()
    shop.make_due()
    shop.run()

    assert shop.titles() == cms.titles() == ["Product 1", "Product 2"]
    assert shop.values("SELECT state FROM message") == ["done"]


def test_a_write_that_arrives_after_the_undo_has_no_effect(
    shop: Shop, cms: Cms, interrupted: InterruptedSanity
) -> None:
    late_seconds = 1.0
    cms.fault("late", seconds=late_seconds)
    shop.receive(product(1))
    with pytest.raises(Unknown):
        Shop(shop.ledger, interrupted).run()

    assert shop.recover() == {"compensated": 1}
    # Should it come before the undo on a slow machine, nothing is left of it either.
    time.sleep(late_seconds + 0.5)
    assert (shop.titles(), cms.titles()) == ([], [])
