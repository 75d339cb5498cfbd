"""Prices, stock, companies and what they may buy, in a real Tryton."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier, StockLevel
from commerce_pipelines_tests.tryton.orders import draft
from commerce_pipelines_tests.tryton.world import TrytonWorld

pytestmark = pytest.mark.tryton


@pytest.fixture
def group() -> str:
    return f"Group {uuid4().hex[:8]}"


def variants_of(world: TrytonWorld, erp: Tryton, count: int = 1) -> list[str]:
    product = world.add_product("Mug", [uuid4().hex[:8] for _ in range(count)])
    found = erp.find_product(product)
    assert found is not None
    return [str(each.external_id) for each in found.details.variants]


def tiers(*pairs: tuple[int, str]) -> tuple[PriceTier, ...]:
    return tuple(PriceTier(quantity, Decimal(amount)) for quantity, amount in pairs)


def test_an_unknown_group_or_currency_and_one_without_a_rate_have_no_prices(
    world: TrytonWorld, erp: Tryton, group: str
) -> None:
    (variant,) = variants_of(world, erp)
    world.set_price(variant, "EUR", group, tiers((1, "5")))

    for currency, whose in (("EUR", "Nobody"), ("XAF", group), ("CHF", group)):
        assert erp.fetch_prices([variant], currency, whose).tiers == {variant: None}


def test_what_is_not_sold_any_more_has_no_price(
    world: TrytonWorld, erp: Tryton, group: str
) -> None:
    product = world.add_product("Mug", [uuid4().hex[:8]])
    found = erp.find_product(product)
    assert found is not None
    variant = str(found.details.variants[0].external_id)
    world.set_price(variant, "EUR", group, tiers((1, "5")))
    world.deactivate(product)

    assert erp.fetch_prices([variant], "EUR", group).tiers == {variant: None}


def test_tiers_that_change_nothing_are_left_out(
    world: TrytonWorld, erp: Tryton, group: str
) -> None:
    one, other = variants_of(world, erp, 2)
    world.set_price(one, "EUR", group, tiers((1, "5"), (10, "4")))
    world.set_price(other, "EUR", group, tiers((1, "5"), (20, "5"), (30, "3")))

    prices = erp.fetch_prices([one, other], "EUR", group)

    assert prices.tiers == {one: tiers((1, "5"), (10, "4")), other: tiers((1, "5"), (30, "3"))}


def test_a_price_that_is_none_is_rejected_and_the_others_come(
    world: TrytonWorld, erp: Tryton, group: str
) -> None:
    good, negative, by_ten, broken = variants_of(world, erp, 4)
    world.people.change("product.product", int(broken), list_price=Decimal(10))
    world.set_price(good, "EUR", group, tiers((1, "5")))
    world.set_price(negative, "EUR", group, tiers((1, "-5")))
    world.set_price(by_ten, "EUR", group, tiers((10, "5")))
    world.people.create(
        "product.price_list.line",
        price_list=world.price_list(group),
        product=int(broken),
        # Right while it is saved, where no product is meant; wrong for one.
        formula="1 / (list_price - 10) if list_price is not None else unit_price",
    )

    prices = erp.fetch_prices([good, negative, by_ten, broken], "EUR", group)

    assert prices.tiers == {good: tiers((1, "5"))}
    assert {each.external_id for each in prices.rejected} == {negative, by_ten, broken}


def test_a_price_is_for_the_unit_that_is_sold(world: TrytonWorld, erp: Tryton, group: str) -> None:
    product = world.add_product("Mug", [uuid4().hex[:8]])
    world.sell_by_the_box(product)
    found = erp.find_product(product)
    assert found is not None
    variant = str(found.details.variants[0].external_id)
    world.set_price(variant, "EUR", group, tiers((1, "2"), (30, "1.5")))
    world.count_in_pieces(group)
    world.put_in_stock(variant, 30)

    assert erp.fetch_prices([variant], "EUR", group).tiers == {variant: tiers((1, "24"), (3, "18"))}
    assert erp.fetch_stock([variant]).levels == {variant: StockLevel(2, False)}


def test_parts_of_a_unit_do_not_count_as_stock(world: TrytonWorld, erp: Tryton) -> None:
    some, owed, more = variants_of(world, erp, 3)
    world.put_in_stock(some, 2.75)
    world.put_in_stock(more, 4)
    world.put_in_stock(owed, 0.5)
    erp.confirm_order(erp.create_order(draft(owed, quantity=1)).external_id)

    levels = erp.fetch_stock([some, owed, more, "999999"]).levels

    assert {key: each.available for key, each in levels.items()} == {some: 2, owed: -1, more: 4}


def test_what_a_confirmed_order_waits_for_is_not_available(world: TrytonWorld, erp: Tryton) -> None:
    (variant,) = variants_of(world, erp)
    world.put_in_stock(variant, 5)
    order = erp.create_order(draft(variant, quantity=3))

    erp.confirm_order(order.external_id)

    assert erp.fetch_stock([variant]).levels[variant].available == 2


def test_a_company_that_was_renamed_is_known_by_its_new_name_only(
    world: TrytonWorld, erp: Tryton, group: str
) -> None:
    old, new = f"Old {uuid4().hex[:8]}", f"New {uuid4().hex[:8]}"
    world.add_company(old, group)
    assert list(erp.fetch_companies([old, new])) == [old]
    (party,) = world.people.find("party.party", ["name", "=", old])

    world.people.change("party.party", party["id"], name=new)

    assert list(erp.fetch_companies([old, new])) == [new]


def test_a_company_may_not_buy_what_its_price_list_has_no_price_for(
    world: TrytonWorld, erp: Tryton, group: str
) -> None:
    allowed, banned = variants_of(world, erp, 2)
    company = f"Company {uuid4().hex[:8]}"
    world.set_price(allowed, "EUR", group, tiers((1, "5")))
    world.set_price(banned, "EUR", EVERYBODY, tiers((1, "5")))
    world.add_company(company, group)

    rules = erp.fetch_purchase_rules([company, "Nobody"], [allowed, banned])

    assert rules.forbidden == {(company, banned)}
