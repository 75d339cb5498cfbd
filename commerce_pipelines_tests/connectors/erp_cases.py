"""The cases that every adapter of the ERP's port passes, in its own world.

Written against the port only. An adapter's test inherits `ErpCases` and has a fixture
`world`. What one ERP cannot show (answers that are none, lost answers) stands with its
adapter's own tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from commerce_pipelines.connectors.erp.port import Erp, RejectedRecord
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.domain.orders import (
    STATUS_OF,
    Address,
    ErpOrder,
    OrderLine,
    OrderStatus,
    PlacedOrder,
)
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier
from commerce_pipelines.errors import Conflict, InvalidInput, NeedsPerson, NotFound
from commerce_pipelines_tests.connectors.erp_contract import World

ADDRESS = Address(
    first_name="Ada",
    last_name="Lovelace",
    address_1="12 St James's Square",
    postal_code="SW1Y 4JH",
    city="London",
    country_code="GB",
)


def new_product(world: World, variants: int = 2) -> ErpProduct:
    """Makes a product of its own and returns it as the adapter sees it."""
    tag = uuid4().hex[:12]
    return seen(world, world.add_product(f"Mug {tag}", [f"{tag}-{at}" for at in range(variants)]))


def new_variant(world: World) -> str:
    """Makes a product of one variant and returns that one's id."""
    return ids_of(new_product(world, 1))[0]


def seen(world: World, product_id: str) -> ErpProduct:
    """Returns a product that is there."""
    product = world.erp.find_product(product_id)
    assert product is not None
    return product


def ids_of(product: ErpProduct) -> list[str]:
    """Returns the ids of a product's variants."""
    return [str(variant.external_id) for variant in product.details.variants]


def tiers(*pairs: tuple[int, str]) -> tuple[PriceTier, ...]:
    """Returns a price's tiers."""
    return tuple(PriceTier(quantity, Decimal(amount)) for quantity, amount in pairs)


def an_order(variant: str, quantity: int = 2, **changes: object) -> PlacedOrder:
    """Returns an order of ours for one variant at 9.90."""
    line = OrderLine(
        1, "variant_1", variant, "SKU", "Mug", quantity, Decimal("9.90"), 990 * quantity
    )
    order = PlacedOrder(
        id=f"order_{uuid4().hex}",
        currency_code="EUR",
        placed_at=datetime.now(UTC).replace(microsecond=0),
        email="ada@example.com",
        company_name=None,
        shipping_address=ADDRESS,
        billing_address=ADDRESS,
        lines=(line,),
        total_minor=990 * quantity,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def status_of(order: ErpOrder) -> OrderStatus:
    """Returns what an order's status there means."""
    return STATUS_OF[order.status]


class ErpCases:
    """What the port promises."""

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

    def test_prices_come_with_their_tiers_and_all_decimals(self, world: World) -> None:
        variant = new_variant(world)
        price = tiers((1, "9.8975"), (10, "8.9"), (100, "7.0001"))
        world.set_price(variant, "EUR", EVERYBODY, price)

        prices = world.erp.fetch_prices([variant], "EUR", EVERYBODY)

        assert prices.tiers == {variant: price}
        assert prices.rejected == ()

    @pytest.mark.parametrize(
        ("currency_code", "amount"), [("JPY", "1200"), ("KWD", "3.125"), ("USD", "10.5")]
    )
    def test_every_currency_has_its_own_decimals(
        self, world: World, currency_code: str, amount: str
    ) -> None:
        variant = new_variant(world)
        world.set_price(variant, currency_code, EVERYBODY, tiers((1, amount)))

        prices = world.erp.fetch_prices([variant], currency_code, EVERYBODY)

        assert prices.tiers == {variant: tiers((1, amount))}

    def test_a_group_has_prices_of_its_own(self, world: World) -> None:
        variant, group = new_variant(world), f"Group {uuid4().hex[:8]}"
        world.set_price(variant, "EUR", EVERYBODY, tiers((1, "10")))
        world.set_price(variant, "EUR", group, tiers((1, "8")))

        assert world.erp.fetch_prices([variant], "EUR", group).tiers[variant] == tiers((1, "8"))
        assert world.erp.fetch_prices([variant], "EUR", EVERYBODY).tiers[variant] == tiers(
            (1, "10")
        )

    def test_no_price_means_not_for_sale(self, world: World) -> None:
        priced, without = new_variant(world), new_variant(world)
        group = f"Group {uuid4().hex[:8]}"
        world.set_price(priced, "EUR", EVERYBODY, tiers((1, "10")))
        world.set_price(without, "EUR", EVERYBODY, None)
        world.set_price(priced, "EUR", group, None)
        ask = world.erp.fetch_prices

        assert ask([priced, without, "0"], "EUR", EVERYBODY).tiers == {
            priced: tiers((1, "10")),
            without: None,
            "0": None,
        }
        assert ask([priced], "EUR", group).tiers == {priced: None}
        assert ask([priced], "EUR", f"No group {uuid4().hex}").tiers == {priced: None}
        assert ask([priced], "XAF", EVERYBODY).tiers == {priced: None}

    def test_nothing_is_asked_for_nothing(self, world: World) -> None:
        assert world.erp.fetch_prices([], "EUR", EVERYBODY).tiers == {}
        assert world.erp.fetch_stock([]).levels == {}
        assert world.erp.fetch_purchase_rules([], []).forbidden == frozenset()
        assert world.erp.fetch_companies([]) == {}

    def test_stock_counts_whole_units(self, world: World) -> None:
        some, none, more = new_variant(world), new_variant(world), new_variant(world)
        world.set_stock(some, Decimal(12), allows_out_of_stock=False)
        world.set_stock(more, Decimal(3), allows_out_of_stock=True)

        levels = world.erp.fetch_stock([some, none, more, "0"]).levels

        assert (levels[some].available, levels[some].allows_out_of_stock) == (12, False)
        assert (levels[none].available, levels[none].allows_out_of_stock) == (0, False)
        assert (levels[more].available, levels[more].allows_out_of_stock) == (3, True)
        assert "0" not in levels

    def test_a_company_may_be_kept_from_buying(self, world: World) -> None:
        free, forbidden = new_variant(world), new_variant(world)
        tag = uuid4().hex[:8]
        for variant in (free, forbidden):
            world.set_price(variant, "EUR", EVERYBODY, tiers((1, "10")))
            world.set_price(variant, "EUR", f"Group {tag}", tiers((1, "10")))
        world.add_company(f"Globex {tag}", f"Group {tag}", [forbidden])
        names = [f"Globex {tag}", f"Nobody {tag}"]

        rules = world.erp.fetch_purchase_rules(names, [free, forbidden])

        assert rules.forbidden == {(f"Globex {tag}", forbidden)}

    def test_a_company_is_known_by_its_name_however_it_is_spelt(self, world: World) -> None:
        tag = uuid4().hex[:8]
        world.add_company(f"Señal {tag}", f"Group {tag}")
        names = [f"Señal {tag}", f"  SENAL {tag}", f"Nobody {tag}"]

        companies = world.erp.fetch_companies(names)

        assert set(companies) == set(names[:2])
        assert {each.customer_group for each in companies.values()} == {f"Group {tag}"}
        assert [each.name for each in companies.values()] == names[:2]

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

    def test_an_order_is_created_as_a_draft_and_found(self, world: World) -> None:
        order = an_order(new_variant(world))

        created = world.erp.create_order(order)

        assert status_of(created) is OrderStatus.PLACED
        assert created.reference == order.id
        assert created.total == Decimal("19.80")
        (line,) = created.lines
        assert (line.variant, line.quantity) == (order.lines[0].external_id, 2)
        assert line.unit_price == Decimal("9.90")
        assert world.erp.find_order(order.id) == created
        assert world.erp.find_order("order_of_nobody") is None

    def test_an_order_is_created_once_whoever_sends_it(self, world: World) -> None:
        order = an_order(new_variant(world))

        with ThreadPoolExecutor(8) as pool:
            created = list(pool.map(world.erp.create_order, [order] * 8))

        assert len({each.external_id for each in created}) == 1
        assert world.references(order.id) == [created[0].external_id]

    def test_another_order_under_the_same_reference_is_a_conflict(self, world: World) -> None:
        variant = new_variant(world)
        order = an_order(variant)
        created = world.erp.create_order(order)

        with pytest.raises(Conflict):
            world.erp.create_order(an_order(variant, 3, id=order.id))

        assert world.references(order.id) == [created.external_id]

    def test_beside_a_cancelled_order_a_new_one_is_made(self, world: World) -> None:
        order = an_order(new_variant(world))
        first = world.erp.create_order(order)
        world.erp.cancel_order(first.external_id)

        second = world.erp.create_order(order)

        assert second.external_id != first.external_id
        assert status_of(second) is OrderStatus.PLACED
        assert world.erp.find_order(order.id) == second

    def test_an_order_is_confirmed_once(self, world: World) -> None:
        created = world.erp.create_order(an_order(new_variant(world)))

        confirmed = world.erp.confirm_order(created.external_id)
        again = world.erp.confirm_order(created.external_id)

        assert status_of(confirmed) in {OrderStatus.CONFIRMED, OrderStatus.PROCESSING}
        assert confirmed.number is not None
        assert again.external_id == created.external_id
        assert status_of(again) is not OrderStatus.PLACED

    def test_a_draft_is_cancelled_once_and_then_cannot_be_confirmed(self, world: World) -> None:
        created = world.erp.create_order(an_order(new_variant(world)))

        cancelled = world.erp.cancel_order(created.external_id)
        again = world.erp.cancel_order(created.external_id)

        assert status_of(cancelled) is status_of(again) is OrderStatus.CANCELLED
        with pytest.raises(Conflict):
            world.erp.confirm_order(created.external_id)

    def test_an_order_that_is_worked_on_needs_a_person_to_cancel_it(self, world: World) -> None:
        created = world.erp.create_order(an_order(new_variant(world)))
        world.erp.confirm_order(created.external_id)
        world.work_on(created.external_id)

        with pytest.raises(NeedsPerson):
            world.erp.cancel_order(created.external_id)

        found = world.erp.find_order(str(created.reference))
        assert found is not None
        assert status_of(found) is not OrderStatus.CANCELLED

    def test_an_order_that_is_not_there_is_said_to_be_so(self, world: World) -> None:
        for act in (world.erp.confirm_order, world.erp.cancel_order):
            with pytest.raises(NotFound):
                act("999999999")

    def test_changed_orders_come(self, world: World) -> None:
        before = world.now()
        created = world.erp.create_order(an_order(new_variant(world)))
        world.erp.confirm_order(created.external_id)

        found = {
            each.external_id: each for each in readable(world.erp.fetch_changed_orders(before))
        }

        assert found[str(created.external_id)].reference == created.reference
        assert status_of(found[created.external_id]) is not OrderStatus.PLACED

    def test_the_orders_of_a_time_come_whoever_took_them(self, world: World) -> None:
        variant, noon = new_variant(world), datetime(2026, 3, 29, 12, tzinfo=UTC)
        hour = timedelta(hours=1)
        ours = world.erp.create_order(an_order(variant, placed_at=noon))
        theirs = world.place_order(variant, 1, noon + hour / 2)
        late = world.place_order(variant, 1, noon + hour)

        found = {
            each.external_id: each for each in readable(world.erp.fetch_orders(noon, noon + hour))
        }

        assert {ours.external_id, theirs} <= set(found)
        assert late not in found
        assert found[theirs].reference is None
        assert all(noon <= each.placed_at < noon + hour for each in found.values())


def changed(erp: Erp, since: datetime | None) -> list[ErpProduct]:
    """Returns the products that a reading brings."""
    return [product for page in erp.fetch_products(since) for product in page.products]


def readable(orders: Iterable[ErpOrder | RejectedRecord]) -> list[ErpOrder]:
    """Returns the orders of a reading that can be read."""
    return [each for each in orders if isinstance(each, ErpOrder)]


def changed_details(product: ErpProduct) -> ErpDetails:
    """Returns details with another title and SKU, the second variant gone and one added."""
    first = product.details.variants[0]
    tag = uuid4().hex[:8]
    return ErpDetails(
        title=f"Changed {tag}",
        description=product.details.description,
        variants=(
            replace(first, sku=f"{tag}-first"),
            ErpVariant(None, f"{tag}-new", "C", (("Size", "C"),)),
        ),
    )
