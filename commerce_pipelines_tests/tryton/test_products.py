"""Products of a real Tryton: read by their changes, written back guarded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from commerce_pipelines.connectors.erp.port import ProductPage
from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.errors import NotFound, Refused
from commerce_pipelines_tests.tryton.world import TrytonWorld

pytestmark = pytest.mark.tryton


def products_in(pages: Iterable[ProductPage]) -> dict[str, list[ErpProduct]]:
    found: dict[str, list[ErpProduct]] = {}
    for page in pages:
        assert not page.rejected
        for product in page.products:
            found.setdefault(product.external_id, []).append(product)
    return found


def sku(ending: str = "") -> str:
    return f"{uuid4().hex[:8]}{ending}"


def seen(erp: Tryton, product: str) -> ErpProduct:
    found = erp.find_product(product)
    assert found is not None
    return found


def test_a_change_of_a_variant_alone_brings_its_product(world: TrytonWorld, erp: Tryton) -> None:
    product = world.add_product("Mug", [sku()])
    (variant,) = seen(erp, product).details.variants
    # Beyond the overlap only the variant's change can bring it.
    later = world.now() + timedelta(hours=1)
    set_changed(world, "product_product", int(str(variant.external_id)), later)

    pages = list(erp.fetch_products(later))

    found = products_in(pages)
    assert list(found) == [product]
    assert found[product][0].changed_at == later
    # The future is not reached by it.
    assert pages[-1].reached is not None
    assert pages[-1].reached < later


def set_changed(world: TrytonWorld, table: str, record: int, moment: datetime) -> None:
    with psycopg.connect(world.postgres_url, autocommit=True) as connection:
        statement = f"UPDATE {table} SET write_date = %s WHERE id = %s"
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        connection.execute(statement.encode(), [naive, record])


def test_a_commit_that_is_late_is_not_lost_behind_the_cursor(
    world: TrytonWorld, erp: Tryton
) -> None:
    late = world.add_product("Late", [sku()])
    with psycopg.connect(world.postgres_url) as connection:
        connection.execute(
            "UPDATE product_template SET salable = false, write_date = now() AT TIME ZONE 'UTC' "
            "WHERE id = %s",
            [int(late)],
        )
        world.add_product("Quick", [sku()])
        *_, page = erp.fetch_products(world.now())
        assert page.reached is not None
        connection.commit()

    found = products_in(erp.fetch_products(page.reached))

    assert found[late][0].changed_at < page.reached
    assert not found[late][0].is_active


def test_what_changes_while_pages_are_read_comes_again_at_the_end(
    world: TrytonWorld, erp: Tryton
) -> None:
    product = int(world.add_product("Many", [sku()]))
    with psycopg.connect(world.postgres_url, autocommit=True) as connection:
        copied = connection.execute(
            "INSERT INTO product_template (name, type, default_uom, sale_uom, purchase_uom, "
            "active, salable, purchasable, create_date) "
            "SELECT 'Copy', type, default_uom, sale_uom, purchase_uom, true, true, true, "
            "now() AT TIME ZONE 'UTC' "
            "FROM product_template, generate_series(1, 700) WHERE id = %s RETURNING id",
            [product],
        ).fetchall()
    first = str(copied[0][0])
    pages = erp.fetch_products(None)

    found: list[ErpProduct] = []
    renamed = False
    for page in pages:
        found += page.products
        if not renamed and any(each.external_id == first for each in page.products):
            world.rename(first, "Renamed")
            renamed = True

    ids = [each.external_id for each in found]
    assert {str(each[0]) for each in copied} <= set(ids)
    assert [each.details.title for each in found if each.external_id == first] == [
        "Copy",
        "Renamed",
    ]
    assert len(ids) == len(set(ids)) + 1


def test_details_are_written_and_put_back(world: TrytonWorld, erp: Tryton) -> None:
    product = world.add_product("Mug", [sku("-A"), sku("-B")])
    before = seen(erp, product)
    first, second = before.details.variants
    added = ErpVariant(None, sku("-C"), "C", (("Size", "C"), ("Colour", "Blue")))
    wanted = ErpDetails("Big mug", "For tea", (replace(first, sku=sku("-new")), added))

    written = erp.write_product(product, wanted, before, "key")

    assert written == seen(erp, product)
    assert (written.details.title, written.details.description) == ("Big mug", "For tea")
    changed, new = written.details.variants
    assert (changed.external_id, changed.sku) == (first.external_id, wanted.variants[0].sku)
    assert (new.sku, new.options) == (added.sku, (("Size", "C"), ("Colour", "Blue")))
    assert second.external_id not in {each.external_id for each in written.details.variants}

    restored = erp.write_product(product, before.details, written, "undo")

    assert restored.details == before.details


def test_a_variant_that_was_added_and_removed_comes_back_as_itself(
    world: TrytonWorld, erp: Tryton
) -> None:
    product = world.add_product("Mug", [sku("-A")])
    before = seen(erp, product)
    added = ErpVariant(None, sku("-B"), "B", (("Size", "B"),))
    wanted = replace(before.details, variants=(*before.details.variants, added))
    written = erp.write_product(product, wanted, before, "do")
    undone = erp.write_product(product, before.details, written, "undo")

    redone = erp.write_product(product, wanted, undone, "redo")

    assert redone.details == written.details


def test_a_variant_in_stock_is_removed_from_sale_without_a_question(
    world: TrytonWorld, erp: Tryton
) -> None:
    product = world.add_product("Mug", [sku("-A"), sku("-B")])
    before = seen(erp, product)
    first, second = before.details.variants
    world.put_in_stock(str(second.external_id), 3)

    written = erp.write_product(product, replace(before.details, variants=(first,)), before, "key")

    assert written.details.variants == (first,)


def test_what_tryton_has_no_place_for_is_refused_and_nothing_changes(
    world: TrytonWorld, erp: Tryton
) -> None:
    product = world.add_product("Mug", [sku()])
    world.people.change("product.template", int(product), code="MUG-")
    before = seen(erp, product)
    (variant,) = before.details.variants
    for refused in (
        replace(variant, sku="CUP-1"),
        replace(variant, options=(("Weight", "1 kg"),)),
        replace(variant, external_id="999999"),
    ):
        with pytest.raises(Refused):
            erp.write_product(
                product, replace(before.details, title="New", variants=(refused,)), before, "key"
            )

    assert seen(erp, product) == before


def test_a_sku_of_another_product_is_refused(world: TrytonWorld, erp: Tryton) -> None:
    taken = sku()
    world.add_product("Cup", [taken])
    product = world.add_product("Mug", [sku()])
    before = seen(erp, product)
    (variant,) = before.details.variants
    wanted = replace(before.details, variants=(replace(variant, sku=taken),))

    with pytest.raises(Refused, match="must be unique"):
        erp.write_product(product, wanted, before, "key")

    assert seen(erp, product).details == before.details


@pytest.mark.parametrize("external_id", ["999999", "mug", "", "1.5", "99999999999999999999"])
def test_a_product_that_is_not_there_is_none(erp: Tryton, external_id: str) -> None:
    details = ErpDetails("Mug", None, ())
    nothing = ErpProduct(external_id, details, True, datetime.now(UTC), None)

    assert erp.find_product(external_id) is None
    with pytest.raises(NotFound):
        erp.write_product(external_id, details, nothing, "key")


def test_a_variant_with_a_description_of_its_own_keeps_it(world: TrytonWorld, erp: Tryton) -> None:
    product = world.add_product("Mug", [sku("-A"), sku("-B")])
    _, second = seen(erp, product).details.variants
    own = int(str(second.external_id))
    world.people.change("product.product", own, description="Only mine")
    before = seen(erp, product)

    erp.write_product(product, replace(before.details, description="Shared"), before, "key")

    (row,) = world.people.find("product.product", ["id", "=", own], fields=("description",))
    assert row["description"] == "Only mine"
    assert seen(erp, product).details.description == "Shared"
