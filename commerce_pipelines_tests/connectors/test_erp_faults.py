"""The adapter `rest` on a sandbox that does what ERPs do at their worst."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from commerce_pipelines.connectors.erp.rest import MOST_A_PAGE
from commerce_pipelines.domain.erp_products import ErpProduct
from commerce_pipelines.domain.price_book import EVERYBODY
from commerce_pipelines.errors import Unavailable, Unknown
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.connectors.erp_records import (
    an_order,
    changed,
    changed_details,
    new_product,
    new_variant,
    readable,
)
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp

NOT_APPLIED = ["unavailable_before", "rate_limited", "html_error"]
APPLIED = ["unavailable_after", "lost_answer", "html_answer", "half_answer"]


@pytest.fixture
def world(sandbox: RunningSandbox) -> Iterator[SandboxWorld]:
    """A sandbox of this test alone."""
    erp = open_sandbox_erp(sandbox.addresses)
    yield SandboxWorld(sandbox.addresses, erp)
    erp.close()


def test_a_list_that_shifts_while_it_is_read_is_complete(world: SandboxWorld) -> None:
    world.ask("POST", "/erp/generate", {"products": 4 * MOST_A_PAGE})
    world.fault("shifting_rows", times=6)

    found = {each.external_id for each in changed(world.erp, None)}

    assert len(found) == 4 * MOST_A_PAGE


def test_a_change_that_is_committed_late_is_found_by_the_next_reading(
    world: SandboxWorld,
) -> None:
    late, other = new_product(world), new_product(world)
    world.change(late.external_id, title="Late", commit_after_seconds=0.6)
    world.rename(other.external_id, "Other")
    *_, last = world.erp.fetch_products(other.changed_at)
    assert late.external_id not in {each.external_id for each in last.products if _is_late(each)}
    assert last.reached is not None

    def found() -> bool:
        return any(_is_late(each) for each in changed(world.erp, last.reached))

    _eventually(found)


def test_an_order_that_is_committed_late_is_found_by_the_next_reading(
    world: SandboxWorld,
) -> None:
    created = world.erp.create_order(an_order(new_variant(world)))
    world.advance(created.external_id, "shipped", commit_after_seconds=0.6)
    since = world.now() + timedelta(minutes=1)

    def found() -> bool:
        return "shipped" in {
            each.status for each in readable(world.erp.fetch_changed_orders(since))
        }

    assert not found()
    _eventually(found)


@pytest.mark.parametrize("kind", NOT_APPLIED + APPLIED)
def test_a_reading_is_repeated_until_there_is_an_answer(world: SandboxWorld, kind: str) -> None:
    product = new_product(world)
    world.fault(kind, times=2, seconds=0.01)

    assert world.erp.find_product(product.external_id) == product
    world.fault(kind, times=2, seconds=0.01)
    assert world.erp.fetch_prices(["0"], "EUR", EVERYBODY).tiers == {"0": None}


@pytest.mark.parametrize("kind", NOT_APPLIED + APPLIED)
def test_a_writing_is_repeated_and_has_one_effect(world: SandboxWorld, kind: str) -> None:
    product, order = new_product(world), an_order(new_variant(world))

    world.fault(kind, times=2, seconds=0.01)
    world.erp.write_product(product.external_id, changed_details(product), product, uuid4().hex)
    world.fault(kind, times=2, seconds=0.01)
    created = world.erp.create_order(order)
    world.fault(kind, times=2, seconds=0.01)
    world.erp.confirm_order(created.external_id)
    world.fault(kind, times=2, seconds=0.01)
    world.erp.cancel_order(created.external_id)

    assert [effect["kind"] for effect in world.effects()] == [
        "product.update",
        "order.create",
        "order.confirm",
        "order.cancel",
    ]
    assert world.effects("order.create")[0]["reference"] == order.id


def test_a_writing_that_is_never_answered_may_have_had_its_effect(
    sandbox: RunningSandbox,
) -> None:
    erp = open_sandbox_erp(sandbox.addresses, patience_seconds=0.1)
    world = SandboxWorld(sandbox.addresses, erp)
    order = an_order(new_variant(world))
    world.fault("lost_answer", times=None)

    with pytest.raises(Unknown):
        erp.create_order(order)

    world.ask("DELETE", "")
    assert len(world.references(order.id)) == 1
    erp.close()


def test_an_erp_that_is_away_for_long_is_left_alone(sandbox: RunningSandbox) -> None:
    erp = open_sandbox_erp(sandbox.addresses, patience_seconds=0.0)
    world = SandboxWorld(sandbox.addresses, erp)
    world.fault("unavailable_before", times=None)

    for _ in range(20):
        with pytest.raises(Unavailable):
            erp.fetch_stock(["0"])

    asked = [each["count"] for each in world.ask("GET", "/requests") if each["status"] == 503]
    assert asked == [5]
    erp.close()


def test_null_prices_mean_that_nothing_is_for_sale(world: SandboxWorld) -> None:
    world.fault("null_prices")

    found = world.erp.fetch_prices(["v-nor-1001-sla"], "EUR", EVERYBODY)

    assert found.tiers == {"v-nor-1001-sla": None}


@pytest.mark.parametrize("amount", ["-1", "1.23456", None, 9.9, "many"])
def test_a_broken_price_spoils_no_other(world: SandboxWorld, amount: object) -> None:
    fine, broken = new_variant(world), new_variant(world)
    world.set_raw_price(fine, [{"min_quantity": 1, "amount": "1"}])
    world.set_raw_price(
        broken, [{"min_quantity": 1, "amount": amount}, {"min_quantity": 2, "amount": "1"}]
    )

    found = world.erp.fetch_prices([fine, broken], "EUR", EVERYBODY)

    assert set(found.tiers) == {fine}
    assert [each.external_id for each in found.rejected] == [broken]


def test_the_same_order_of_many_lines_goes_out_whole(world: SandboxWorld) -> None:
    order = an_order(new_variant(world), company_name="ACME")
    many = tuple(replace(order.lines[0], position=at) for at in range(1, 101))
    order = replace(order, lines=many, total_minor=100 * order.total_minor)

    world.erp.create_order(order)

    (there,) = world.ask("GET", f"/erp/orders?reference={order.id}")
    assert len(there["lines"]) == 100
    assert there["total"] == "1980.00"
    assert there["email"] == order.email
    assert there["company_name"] == "ACME"
    assert there["shipping_address"] == order.shipping_address.model_dump()
    assert there["billing_address"] == order.billing_address.model_dump()
    assert datetime.fromisoformat(there["placed_at"]).astimezone(UTC) == order.placed_at


def _is_late(product: ErpProduct) -> bool:
    return product.details.title == "Late"


def _eventually(found: Callable[[], bool]) -> None:
    for _ in range(100):
        if found():
            return
        time.sleep(0.1)
    pytest.fail("it never came")
