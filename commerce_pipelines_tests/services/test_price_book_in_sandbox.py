"""The refresh against the sandbox's ERP over HTTP: what it refuses, and what it survives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from commerce_pipelines.errors import Unavailable
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.price_book_refresh import PriceBookRefresh
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp
from commerce_pipelines_tests.services.erp_prices import change, customer, rows, sold, sold_many


@pytest.fixture
def world(sandbox: RunningSandbox) -> Iterator[SandboxWorld]:
    """The ERP, given up on after a moment."""
    erp = open_sandbox_erp(sandbox.addresses, patience_seconds=0.2)
    yield SandboxWorld(sandbox.addresses, erp)
    erp.close()


@pytest.fixture
def flow(ledger: Ledger, world: SandboxWorld) -> PriceBookRefresh:
    return PriceBookRefresh(ledger, world.erp, "run-1", refresh_seconds=300.0)


def put_price(world: SandboxWorld, variant: str, currency: str, tiers: Any) -> None:
    price = {"variant": variant, "currency_code": currency, "tiers": tiers}
    world.ask("POST", "/erp/prices", [price])


def tier(amount: Any, min_quantity: Any = 1) -> dict[str, Any]:
    return {"min_quantity": min_quantity, "amount": amount}


def generate(engine: Engine, world: SandboxWorld, count: int) -> None:
    """Has the ERP sell many variants that the store has."""
    world.ask("POST", "/erp/generate", {"products": count})
    sold_many(engine, count)
    change(
        engine,
        """UPDATE external_id
           SET external_id = 'gv-' || lpad((substr(external_id, 2)::int - 1)::text, 6, '0') || '-0'
           WHERE system = 'erp'""",
    )


def test_every_kind_of_answer_is_kept_or_told(
    engine: Engine, world: SandboxWorld, flow: PriceBookRefresh
) -> None:
    skus = ("good", "null", "minus", "exact", "word")
    world.add_product("Mug", skus)
    sold(engine, *skus, currency="KWD")
    change(engine, "UPDATE external_id SET external_id = internal_id")
    customer(engine, "Acme")
    company = {"name": "Acme", "customer_group": "dealers", "forbidden": ["v-null"]}
    world.ask("POST", "/erp/companies", [company])
    put_price(world, "v-good", "KWD", [tier("3.311"), tier("2.9805", 10)])
    put_price(world, "v-null", "KWD", None)
    put_price(world, "v-minus", "KWD", [tier("-1")])
    put_price(world, "v-exact", "KWD", [tier("1.00001")])
    put_price(world, "v-word", "KWD", [tier("a lot")])
    levels = [{"variant": "v-good", "available": "12.5"}, {"variant": "v-null", "available": "-3"}]
    world.ask("POST", "/erp/stock", levels)

    (page,) = flow.pages()

    faults = {variant_id: "; ".join(told) for variant_id, told in page.faults}
    assert {id_ for id_, told in faults.items() if "price in KWD:" in told} == {
        "v-minus",
        "v-exact",
        "v-word",
    }
    found = "SELECT variant_id, amounts FROM price_book WHERE customer_group = '' ORDER BY 1"
    assert rows(engine, found) == [
        ("v-good", [Decimal("3.3110"), Decimal("2.9805")]),
        ("v-null", []),
    ]
    found = "SELECT variant_id, available FROM stock_level WHERE available <> 0 ORDER BY 1"
    assert rows(engine, found) == [("v-good", 12), ("v-null", -3)]
    forbidden = "SELECT variant_id FROM purchase_rule WHERE NOT is_allowed"
    assert rows(engine, forbidden) == [("v-null",)]


def test_a_page_is_two_requests_however_many_variants_it_has(
    engine: Engine, world: SandboxWorld, flow: PriceBookRefresh
) -> None:
    generate(engine, world, 2_500)
    world.ask("DELETE", "/requests")

    pages = list(flow.pages())

    assert [page.variants for page in pages] == [1_000, 1_000, 500]
    assert not any(page.faults for page in pages)
    assert sum(each["count"] for each in world.ask("GET", "/requests")) == 6
    both = "SELECT count(*) FROM price_book JOIN stock_level USING (variant_id)"
    assert rows(engine, both) == [(2_500,)]


@pytest.mark.parametrize("fault", ["unavailable_before", "html_answer", "half_answer"])
def test_an_erp_that_dies_in_the_middle_leaves_whole_pages_and_the_rest_comes_next_time(
    engine: Engine,
    sandbox: RunningSandbox,
    world: SandboxWorld,
    flow: PriceBookRefresh,
    fault: str,
) -> None:
    generate(engine, world, 3_000)
    pages = flow.pages()
    assert next(pages).error is None
    world.fault(fault, times=None)

    with pytest.raises(Unavailable):
        list(pages)

    both = """SELECT count(*), count(stock_level.variant_id), count(price_book.variant_id)
              FROM price_book FULL JOIN stock_level USING (variant_id)"""
    assert rows(engine, both) == [(1_000, 1_000, 1_000)]
    world.ask("DELETE", "")
    for saga_id in flow.ledger.due():
        Compensator(flow.ledger, {}).compensate(saga_id, "sweep")
    # The one before still leaves the ERP alone.
    with closing(open_sandbox_erp(sandbox.addresses)) as erp:
        assert sum(page.variants for page in replace(flow, erp=erp).pages()) == 2_000
    assert rows(engine, both) == [(3_000, 3_000, 3_000)]
