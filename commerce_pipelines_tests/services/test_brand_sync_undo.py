"""A sync of brands that fails is undone: what was created goes, what was changed is as before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import BrandSync, Retrieved, UpdateBrands
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


def test_a_sync_that_dies_between_create_and_update_is_undone_and_done_again(
    sides: Sides,
) -> None:
    known = sides.there.create(name="Acme")
    sides.sync()
    sides.there.patch(known["id"], name="Acme & Sons")
    sides.there.create(name="Zenith")
    _create_only(sides)
    assert sides.names_here() == ["Acme", "Zenith"]

    assert sides.recover() == {"compensated": 1}
    assert sides.names_here() == ["Acme"]

    sides.sync()
    assert sides.names_here() == ["Acme & Sons", "Zenith"]


def test_the_undo_of_a_whole_sync_restores_names_links_and_how_far_was_read(
    sides: Sides,
) -> None:
    acme, zenith = (sides.there.create(name=name)["id"] for name in ("Acme", "Zenith"))
    sides.sync()
    before = (sides.rows("SELECT * FROM watermark"), _facts(sides))
    sides.there.patch(acme, name="Zenith", description="swapped")
    sides.there.patch(zenith, name="Acme")
    sides.there.create(name="Novum")
    begun = _create_only(sides)

    _fail_after_the_update(begun)
    assert sides.recover() == {"compensated": 1}

    assert (sides.rows("SELECT * FROM watermark"), _facts(sides)) == before
    sides.sync()
    assert {brand.external_ids[0]: brand.name for brand in sides.here()}[acme] == "Zenith"


def test_what_somebody_changed_since_stays_when_a_sync_is_undone(sides: Sides) -> None:
    acme, zenith = (sides.there.create(name=name)["id"] for name in ("Acme", "Zenith"))
    sides.sync()
    for brand_id in (acme, zenith):
        sides.there.patch(brand_id, description="from there")
    begun = _create_only(sides)
    _fail_after_the_update(begun)
    sides.save("Acme", description="ours")

    sides.recover()

    assert [brand.description for brand in sides.here()] == ["ours", None]


def test_a_new_brand_that_got_products_is_parked_by_the_undo(sides: Sides) -> None:
    sides.there.create(name="Acme")
    _create_only(sides)
    sides.change(
        """INSERT INTO product (id, title, handle, brand_id)
           SELECT 'p', 'Mug', 'mug', id FROM brand"""
    )

    assert sides.recover() == {"parked": 1}

    assert sides.names_here() == ["Acme"]
    ((reason,),) = sides.rows("SELECT reason FROM saga WHERE status = 'parked'")
    assert "Acme" in reason


def test_a_new_brand_that_an_unfinished_import_may_go_back_to_is_parked_by_the_undo(
    sides: Sides,
) -> None:
    sides.there.create(name="Acme")
    _create_only(sides)
    sides.change(
        """INSERT INTO saga (saga_id, kind, lock_key, status)
           VALUES ('import', 'pim_import', 'x', 'parked')"""
    )
    sides.change(
        """INSERT INTO product_revision (product_id, saga_id, version, before)
           SELECT 'p', 'import', 2, jsonb_build_object('brand_id', id) FROM brand"""
    )

    assert sides.recover() == {"parked": 1}


def _facts(sides: Sides) -> list[tuple[object, ...]]:
    return sides.rows("""
        SELECT brand.id, brand.name, brand.name_key, brand.description, brand.gone_at,
               link.external_id, link.name, link.description, link.updated_at
        FROM brand LEFT JOIN foreign_brand link ON link.brand_id = brand.id ORDER BY 1, 6""")


class _Begun(NamedTuple):
    flow: BrandSync
    saga_id: str
    retrieved: Retrieved


def _create_only(sides: Sides) -> _Begun:
    """Does the first half of a sync."""
    flow = BrandSync(sides.ledger, sides.brand_system, "fails")
    retrieved = flow.retrieve()
    saga_id = flow.decide(retrieved).saga_id
    assert saga_id is not None
    flow.create(saga_id, retrieved)
    return _Begun(flow, saga_id, retrieved)


def _fail_after_the_update(begun: _Begun) -> None:
    """Updates as the flow does, and fails before the saga has ended."""
    joined = Saga.joined(begun.flow.ledger, begun.saga_id, begun.flow.run_id)
    with pytest.raises(RuntimeError), joined as saga:
        saga.take(UpdateBrands(begun.retrieved), {})
        raise RuntimeError("fails at the end")
