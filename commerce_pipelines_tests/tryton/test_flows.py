"""The ERP's flows between the store and a real Tryton."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier
from commerce_pipelines.errors import Unknown
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import PriceBookRefresh
from commerce_pipelines_tests.tryton.conftest import open_tryton
from commerce_pipelines_tests.tryton.server import TrytonServer
from commerce_pipelines_tests.tryton.side import Side
from commerce_pipelines_tests.tryton.world import TrytonWorld

pytestmark = pytest.mark.tryton


@pytest.fixture
def side(ledger: Ledger, world: TrytonWorld, erp: Tryton) -> Side:
    return Side(ledger, erp, world)


def test_products_come_in_and_what_is_unchanged_costs_no_write(side: Side) -> None:
    variants = side.catalog.rows(
        """SELECT sku, external_id.external_id FROM variant
           JOIN external_id ON internal_id = variant.id AND system = 'erp'
           WHERE product_id = :id ORDER BY sku""",
        id=side.product_id,
    )

    assert variants == sorted((each.sku, each.external_id) for each in side.there.variants)
    again = side.sync()
    assert (again.counts["created"], again.counts["updated"]) == (0, 0)


def test_an_update_and_the_next_sync_agree(side: Side) -> None:
    side.update(side.erp, **side.big())

    assert side.there.title == f"Large {side.title}"
    assert side.there.description == "New"
    assert [each.sku for each in side.there.variants] == [f"{side.tag}-small", f"{side.tag}-xl"]
    synced = side.sync()
    assert (synced.counts["created"], synced.counts["updated"]) == (0, 0)


class LosesAnswers(Tryton):
    """The adapter, whose writes happen and are not heard of."""

    def write_product(self, *arguments: Any) -> Any:
        super().write_product(*arguments)
        raise Unknown("The answer was lost.")

    def create_order(self, *arguments: Any) -> Any:
        super().create_order(*arguments)
        raise Unknown("The answer was lost.")


@pytest.fixture
def deaf(tryton: TrytonServer) -> Iterator[Tryton]:
    opened = open_tryton(tryton, kind=LosesAnswers)
    yield opened
    opened.close()


def test_an_update_whose_answer_was_lost_is_undone_on_both_sides(side: Side, deaf: Tryton) -> None:
    before, there = side.catalog.dump(), side.there
    with pytest.raises(Unknown):
        side.update(deaf, **side.big())
    assert side.there != there

    assert side.recover() == {"compensated": 1}
    assert side.catalog.dump() == before
    assert side.there == there


def test_prices_and_stock_are_in_the_price_book(side: Side) -> None:
    sold = side.variant(f"{side.tag}-s")
    side.world.set_price(
        sold, "EUR", EVERYBODY, [PriceTier(1, Decimal("9.9999")), PriceTier(10, Decimal("8.5"))]
    )
    side.world.put_in_stock(sold, 7)

    list(PriceBookRefresh(side.ledger, side.erp, "run", 300.0, "EUR").pages())

    (row,) = side.catalog.rows(
        """SELECT price_book.amounts, stock_level.available FROM price_book
           JOIN stock_level USING (variant_id)
           JOIN variant ON variant.id = variant_id
           WHERE sku = :sku AND currency_code = 'EUR' AND customer_group = ''""",
        sku=f"{side.tag}-s",
    )
    assert (row[0], row[1]) == ([Decimal("9.9999"), Decimal("8.5000")], 7)


def test_an_order_is_exported_once_and_confirmed(side: Side) -> None:
    order_id = side.place_order()

    side.export(side.erp)

    there = side.erp.find_order(order_id)
    assert there is not None
    assert there.status in {"confirmed", "processing"}
    assert there.total == Decimal("20.00")
    assert side.world.references(order_id) == [there.external_id]


def test_an_export_whose_answer_was_lost_leaves_a_cancelled_draft(side: Side, deaf: Tryton) -> None:
    order_id = side.place_order()
    with pytest.raises(Unknown):
        side.export(deaf)

    assert side.recover() == {"compensated": 1}

    there = side.erp.find_order(order_id)
    assert there is not None
    assert there.status == "cancelled"
    side.catalog.execute("UPDATE message SET next_try_at = now()")
    side.export(side.erp)
    assert len(side.world.references(order_id)) == 2
