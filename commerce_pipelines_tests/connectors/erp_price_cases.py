"""The cases about prices, stock and who may buy what."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

from commerce_pipelines.domain.price_book import EVERYBODY
from commerce_pipelines_tests.connectors.erp_contract import World
from commerce_pipelines_tests.connectors.erp_records import new_variant, tiers


class PriceCases:
    """What the port promises of prices, stock and purchase rules."""

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
