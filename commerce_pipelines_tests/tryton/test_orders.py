"""Orders in a real Tryton."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from string import Template
from uuid import uuid4

import psycopg
import pytest
import requests

from commerce_pipelines.connectors.erp.by_hand import Request
from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.domain.orders import ErpOrder, ErpOrderLine
from commerce_pipelines.errors import Conflict, NeedsPerson, NotFound, Refused
from commerce_pipelines_tests.tryton.conftest import open_tryton
from commerce_pipelines_tests.tryton.orders import ADDRESS, draft
from commerce_pipelines_tests.tryton.server import TrytonServer
from commerce_pipelines_tests.tryton.world import TrytonWorld

pytestmark = pytest.mark.tryton


@pytest.fixture
def variant(world: TrytonWorld, erp: Tryton) -> str:
    found = erp.find_product(world.add_product("Mug", [uuid4().hex[:8]]))
    assert found is not None
    return str(found.details.variants[0].external_id)


def test_an_order_goes_out_whole_and_is_found_by_its_reference(
    world: TrytonWorld, erp: Tryton, variant: str
) -> None:
    order = draft(variant, quantity=3, unit_price=Decimal("9.9999"))

    made = erp.create_order(order)

    assert made == erp.find_order(order.id)
    assert (made.status, made.currency_code, made.total) == ("draft", "EUR", Decimal("30.00"))
    assert made.placed_at == order.placed_at
    assert made.lines == (ErpOrderLine(variant, 3, Decimal("9.9999")),)
    (sale,) = world.people.find(
        "sale.sale",
        ["web_id", "=", order.id],
        fields=("comment", "shipment_address.full_address", "invoice_address.full_address"),
    )
    assert sale["comment"].splitlines() == [order.email, "+49 30 1234567"]
    for kind in ("shipment_address", "invoice_address"):
        for part in ("Anna Lee", "Main Street 1", "Third floor", "10115", "Berlin"):
            assert part in sale[kind]["full_address"]


def test_eight_at_once_make_one_order(
    tryton: TrytonServer, world: TrytonWorld, variant: str
) -> None:
    order = draft(variant)
    adapters = [open_tryton(tryton) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda each: each.create_order(order), adapters))
    for each in adapters:
        each.close()

    assert len({each.external_id for each in made}) == 1
    assert world.references(order.id) == [made[0].external_id]


def test_another_order_under_the_same_reference_is_a_conflict(erp: Tryton, variant: str) -> None:
    order = draft(variant)
    made = erp.create_order(order)

    for other in (draft(variant, quantity=5, id=order.id), replace(order, currency_code="USD")):
        with pytest.raises(Conflict):
            erp.create_order(other)

    assert erp.find_order(order.id) == made


def test_an_order_is_confirmed_once_and_then_cannot_be_cancelled(erp: Tryton, variant: str) -> None:
    order = erp.create_order(draft(variant))

    confirmed = erp.confirm_order(order.external_id)
    again = erp.confirm_order(order.external_id)

    assert confirmed.number is not None
    assert again.number == confirmed.number
    assert again.status == "processing"
    with pytest.raises(NeedsPerson, match="processing"):
        erp.cancel_order(order.external_id)


def test_confirming_and_cancelling_at_once_ends_in_one_of_both(
    tryton: TrytonServer, erp: Tryton, variant: str
) -> None:
    order = erp.create_order(draft(variant))
    other = open_tryton(tryton)
    with ThreadPoolExecutor(2) as pool:
        confirming = pool.submit(erp.confirm_order, order.external_id)
        cancelling = pool.submit(other.cancel_order, order.external_id)
        errors = [confirming.exception(), cancelling.exception()]
    other.close()

    assert len([each for each in errors if each is None]) == 1


@pytest.mark.parametrize("external_id", ["999999", "order", ""])
def test_an_order_that_is_not_there_is_not_found(erp: Tryton, external_id: str) -> None:
    assert erp.find_order(f"no-{external_id}") is None
    with pytest.raises(NotFound):
        erp.confirm_order(external_id)
    with pytest.raises(NotFound):
        erp.cancel_order(external_id)


def test_what_cannot_be_sold_or_sent_is_refused(
    world: TrytonWorld, erp: Tryton, variant: str
) -> None:
    nowhere = ADDRESS.model_copy(update={"country_code": "BR"})
    for order in (
        draft("999999"),
        draft(variant, currency_code="XAF"),
        draft(variant, shipping_address=nowhere),
        draft(variant, unit_price=Decimal("1.00001")),
    ):
        with pytest.raises(Refused):
            erp.create_order(order)
        assert world.references(order.id) == []


def test_orders_of_one_customer_are_of_one_party_and_address(
    world: TrytonWorld, erp: Tryton, variant: str
) -> None:
    first = draft(variant)
    second = draft(variant, email=first.email.upper())
    elsewhere = draft(
        variant,
        email=first.email,
        billing_address=ADDRESS.model_copy(update={"city": "Potsdam", "company": "Lee Ltd"}),
    )
    for each in (first, second, elsewhere):
        erp.create_order(each)

    sales = [
        world.people.find(
            "sale.sale",
            ["web_id", "=", each.id],
            fields=("party", "shipment_address", "invoice_address"),
        )[0]
        for each in (first, second, elsewhere)
    ]

    assert len({each["party"] for each in sales}) == 1
    assert len({each["shipment_address"] for each in sales}) == 1
    assert len({each["invoice_address"] for each in sales}) == 2


def test_an_order_of_a_known_company_is_of_its_party(
    world: TrytonWorld, erp: Tryton, variant: str
) -> None:
    company = f"Company {uuid4().hex[:8]}"
    world.add_company(company, "Wholesale")
    order = draft(variant, company_name=company.upper())

    erp.create_order(order)

    (sale,) = world.people.find("sale.sale", ["web_id", "=", order.id], fields=("party.name",))
    assert sale["party"]["name"] == company


@pytest.mark.parametrize(
    ("currency", "unit_price", "total"),
    [("JPY", "1200", "3600"), ("KWD", "1.234", "3.702"), ("EUR", "0.3333", "1.00")],
)
def test_totals_are_rounded_as_their_currency_wants(
    erp: Tryton, variant: str, currency: str, unit_price: str, total: str
) -> None:
    order = draft(variant, quantity=3, unit_price=Decimal(unit_price), currency_code=currency)

    assert erp.create_order(order).total == Decimal(total)


def test_orders_come_by_the_time_they_were_placed(
    world: TrytonWorld, erp: Tryton, variant: str
) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=uuid4().int % 200)
    step = timedelta(microseconds=1)
    ours = {
        moment: erp.create_order(draft(variant, placed_at=moment)).external_id
        for moment in (midnight - step, midnight, midnight + timedelta(days=1) - step)
    }
    by_telephone = world.place_order(variant, 1, midnight)
    world.place_order(variant, 1, midnight + timedelta(days=1))

    found = list(erp.fetch_orders(midnight, midnight + timedelta(days=1)))

    assert all(isinstance(each, ErpOrder) for each in found)
    placed = {each.external_id: each for each in found if isinstance(each, ErpOrder)}
    assert set(placed) == {*list(ours.values())[1:], by_telephone}
    assert placed[by_telephone].reference is None


def test_a_changed_order_comes_also_when_its_commit_was_late(
    world: TrytonWorld, erp: Tryton, variant: str
) -> None:
    late = erp.create_order(draft(variant))
    with psycopg.connect(world.postgres_url) as connection:
        connection.execute(
            "UPDATE sale_sale SET shipment_state = 'sent', state = 'processing', "
            "write_date = now() AT TIME ZONE 'UTC' WHERE id = %s",
            [int(late.external_id)],
        )
        quick = erp.create_order(draft(variant))
        *_, last = erp.fetch_changed_orders(world.now())
        assert isinstance(last, ErpOrder)
        assert last.external_id == quick.external_id
        connection.commit()

    found = list(erp.fetch_changed_orders(last.changed_at))

    statuses = {each.external_id: each.status for each in found if isinstance(each, ErpOrder)}
    assert statuses[late.external_id] == "shipped"
    assert statuses[quick.external_id] == "draft"


def test_the_requests_for_a_person_confirm_and_cancel_an_order(
    tryton: TrytonServer, erp: Tryton, variant: str
) -> None:
    confirmed, cancelled = erp.create_order(draft(variant)), erp.create_order(draft(variant))
    by_hand = erp.by_hand

    sent = [
        _send(request, tryton)
        for request in (
            *by_hand.confirm_order(confirmed).values(),
            *by_hand.cancel_order(cancelled).values(),
            *by_hand.cancel_order(confirmed).values(),
        )
    ]

    # Nobody can cancel what is confirmed.
    assert sent == [200, 200, 200, 400]
    assert _status(erp, confirmed) in {"confirmed", "processing"}
    assert _status(erp, cancelled) == "cancelled"
    assert not by_hand.confirm_order(erp.confirm_order(confirmed.external_id))


def _send(request: Request, tryton: TrytonServer) -> int:
    headers = {
        name: Template(value).substitute(ERP_API_KEY=tryton.seeded["key"])
        for name, value in request.headers.items()
    }
    return requests.request(
        request.method, request.url, headers=headers, json=request.body, timeout=30
    ).status_code


def _status(erp: Tryton, order: ErpOrder) -> str:
    found = erp.find_order(order.reference or "")
    assert found is not None
    return found.status
