"""The cases about products: read, and changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import pytest

from commerce_pipelines.errors import Conflict, InvalidInput, NotFound
from commerce_pipelines_tests.connectors.erp_contract import World
from commerce_pipelines_tests.connectors.erp_records import (
    changed,
    changed_details,
    new_product,
    seen,
)


class ProductCases:
    """What the port promises of products."""

    def test_a_new_product_comes_with_its_variants(self, world: World) -> None:
        before = world.now()
        product = new_product(world)

        found = {each.external_id: each for each in changed(world.erp, before)}

        assert found[product.external_id] == product
        assert [variant.options for variant in product.details.variants] == [
            (("Size", "A"),),
            (("Size", "B"),),
        ]
        assert product.is_active
        assert product.changed_at >= before

    def test_reading_goes_on_where_it_was(self, world: World) -> None:
        first, second = new_product(world), new_product(world)
        reached = [page.reached for page in world.erp.fetch_products(first.changed_at)][-1]
        assert reached is not None
        world.rename(second.external_id, "Renamed")

        found = {each.external_id: each for each in changed(world.erp, reached)}

        assert found[second.external_id].details.title == "Renamed"
        assert found[second.external_id].changed_at > second.changed_at

    def test_a_product_comes_once_in_a_reading(self, world: World) -> None:
        new_product(world)

        found = [each.external_id for each in changed(world.erp, None)]

        assert len(found) == len(set(found))

    def test_a_deactivated_product_comes_and_a_deleted_one_does_not(self, world: World) -> None:
        off, gone = new_product(world), new_product(world)
        world.deactivate(off.external_id)
        world.delete(gone.external_id)

        found = {each.external_id: each for each in changed(world.erp, off.changed_at)}

        assert not found[off.external_id].is_active
        assert gone.external_id not in found
        assert world.erp.find_product(gone.external_id) is None

    def test_a_moment_without_a_zone_is_refused(self, world: World) -> None:
        naive = datetime(2026, 1, 1)
        for ask in (world.erp.fetch_products, world.erp.fetch_changed_orders):
            with pytest.raises(InvalidInput):
                list(ask(naive))

    def test_a_product_is_changed_with_its_variants(self, world: World) -> None:
        product = new_product(world)
        kept, removed = product.details.variants
        wanted = changed_details(product)

        written = world.erp.write_product(product.external_id, wanted, product, uuid4().hex)

        assert written.details.title == wanted.title
        assert written.changed_at > product.changed_at
        assert written == seen(world, product.external_id)
        first, added = written.details.variants
        assert first == replace(kept, sku=wanted.variants[0].sku)
        assert added.options == wanted.variants[1].options
        assert added.external_id not in {None, kept.external_id, removed.external_id}

    def test_a_change_under_one_key_has_one_effect(self, world: World) -> None:
        product, key = new_product(world), uuid4().hex
        wanted = changed_details(product)

        first = world.erp.write_product(product.external_id, wanted, product, key)
        again = world.erp.write_product(product.external_id, wanted, product, key)

        assert again == first
        assert len(again.details.variants) == 2

    def test_a_change_can_be_put_back_as_it_was(self, world: World) -> None:
        product = new_product(world)
        written = world.erp.write_product(
            product.external_id, changed_details(product), product, uuid4().hex
        )

        back = world.erp.write_product(product.external_id, product.details, written, uuid4().hex)

        assert back.details == product.details

    def test_somebody_elses_change_is_not_overwritten(self, world: World) -> None:
        product = new_product(world)
        world.rename(product.external_id, "Theirs")

        with pytest.raises(Conflict):
            world.erp.write_product(
                product.external_id, changed_details(product), product, uuid4().hex
            )

        there = seen(world, product.external_id)
        assert there.details == replace(product.details, title="Theirs")

    def test_a_product_that_is_gone_is_not_written(self, world: World) -> None:
        product = new_product(world)
        world.delete(product.external_id)

        with pytest.raises(NotFound):
            world.erp.write_product(
                product.external_id, changed_details(product), product, uuid4().hex
            )
