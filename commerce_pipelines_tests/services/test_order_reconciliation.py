"""A day's orders agree on both sides, or each discrepancy is named with both values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines.domain.reconciliation import day_bounds
from commerce_pipelines.errors import Refused, Unavailable
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.order_reconciliation import OrderReconciliation, ReconciledDay
from commerce_pipelines_tests.orders import PLACED_AT, erp_order
from commerce_pipelines_tests.services.order_desk import Desk

DAY = PLACED_AT.date()


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    """A desk with nothing on it."""
    return Desk(ledger)


def reconcile(desk: Desk, day: date = DAY, zone: str = "UTC", **options: Any) -> ReconciledDay:
    """Reconciles a day."""
    flow = OrderReconciliation(desk.ledger.engine, desk.erp, zone, "run-1")
    return flow.reconcile(day, **options)


def told(desk: Desk) -> list[tuple[Any, ...]]:
    """Returns what the store knows to differ."""
    return desk.rows("SELECT kind, order_id, here, there, amount_minor FROM discrepancy ORDER BY 1")


def test_a_day_on_which_nothing_differs_says_so(desk: Desk) -> None:
    desk.exported("order_1")
    desk.exported("order_2", currency_code="JPY", total_minor=3000)
    desk.exported("order_3", currency_code="KWD", total_minor=1234)

    done = reconcile(desk)

    assert (done.ours, done.theirs, done.found) == (3, 3, [])


def test_a_day_without_orders_is_reconciled(desk: Desk) -> None:
    assert reconcile(desk) == ReconciledDay(DAY, 0, 0, [], [])


def test_one_discrepancy_of_each_kind_is_found_with_both_values(desk: Desk) -> None:
    desk.exported("order_1")
    lost = desk.exported("order_2", total_minor=500)
    del desk.erp.orders[lost.external_id]
    desk.erp.put(erp_order("o-phone", None, total=Decimal("7.50")))
    dear = desk.exported("order_3")
    desk.erp.put(replace(dear, total=Decimal("20.01")))
    ahead = desk.exported("order_4")
    desk.erp.change(ahead.external_id, "shipped")

    reconcile(desk)

    assert told(desk) == [
        ("amount_differs", "order_3", "20.00 EUR", "20.01 EUR", 1),
        ("missing_in_erp", "order_2", "5.00 EUR, confirmed", None, 500),
        ("missing_in_store", None, None, "7.50 EUR, confirmed", 750),
        ("status_differs", "order_4", "confirmed", "shipped", 2000),
    ]


@pytest.mark.parametrize(
    ("code", "minor", "total", "amount"),
    [
        ("JPY", 3000, "3001", 1),
        ("JPY", 3000, "3000.4", 1),
        ("KWD", 1234, "1.235", 1),
        ("KWD", 1234, "1.23400001", 1),
        ("EUR", 2000, "19.99", 1),
        ("EUR", 9007199254740990, "90071992547409.91", 1),
    ],
)
def test_amounts_are_compared_to_the_last_digit(
    desk: Desk, code: str, minor: int, total: str, amount: int
) -> None:
    there = desk.exported(currency_code=code, total_minor=minor)
    assert reconcile(desk).found == []
    desk.erp.put(replace(there, total=Decimal(total)))

    (found,) = reconcile(desk).found

    assert (found.kind, found.amount_minor) == ("amount_differs", amount)
    assert found.there == f"{total} {code}"


@pytest.mark.parametrize("total", ["20", "20.0", "20.0000", "2E+1"])
def test_the_same_amount_written_otherwise_is_the_same(desk: Desk, total: str) -> None:
    there = desk.exported()
    desk.erp.put(replace(there, total=Decimal(total)))

    assert reconcile(desk).found == []


def test_another_currency_is_another_amount(desk: Desk) -> None:
    there = desk.exported()
    desk.erp.put(replace(there, currency_code="USD"))

    (found,) = reconcile(desk).found

    assert (found.here, found.there, found.amount_minor) == ("20.00 EUR", "20.00 USD", 2000)


def test_a_word_that_we_do_not_know_differs(desk: Desk) -> None:
    there = desk.exported()
    desk.erp.put(replace(there, status="teleported"))

    (found,) = reconcile(desk).found

    assert (found.kind, found.here, found.there) == ("status_differs", "confirmed", "teleported")


def test_an_order_that_was_not_exported_is_missing_unless_it_is_young(desk: Desk) -> None:
    desk.place("order_old")
    desk.place("order_cancelled", status="cancelled")
    now = datetime.now(UTC)
    desk.place("order_young", placed_at=now)

    assert [each.order_id for each in reconcile(desk).found] == ["order_old"]
    assert reconcile(desk, now.date()).found == []


def test_the_cancelled_draft_of_an_export_that_was_undone_is_no_discrepancy(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", Refused("not now"))
    desk.fails()
    desk.recover()
    (found,) = reconcile(desk).found
    assert found.kind == "missing_in_erp"

    desk.export()

    assert len(desk.erp.orders) == 2
    assert reconcile(desk).found == []


def test_a_second_order_under_our_reference_is_one_too_many(desk: Desk) -> None:
    there = desk.exported()
    desk.erp.put(replace(there, external_id="o-0"))

    (found,) = reconcile(desk).found

    assert (found.kind, found.external_id) == ("missing_in_store", "o-0")


MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def test_an_order_at_midnight_belongs_to_the_day_that_begins(desk: Desk) -> None:
    desk.exported("order_1", placed_at=MIDNIGHT - INSTANT)
    desk.exported("order_2", placed_at=MIDNIGHT)

    assert [reconcile(desk, DAY + timedelta(days=n)).ours for n in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("placed_there", [MIDNIGHT, MIDNIGHT + timedelta(seconds=1)])
def test_an_order_that_lies_behind_midnight_there_is_compared_on_its_day_here(
    desk: Desk, placed_there: datetime
) -> None:
    there = desk.exported(placed_at=MIDNIGHT - INSTANT)
    desk.erp.put(replace(there, placed_at=placed_there, total=Decimal("1.00")))

    (found,) = reconcile(desk).found
    assert found.kind == "amount_differs"
    assert reconcile(desk, DAY + timedelta(days=1)).found == []


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("Atlantic/Azores", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_a_day_of_changed_clocks_has_its_hours(zone: str, day: date, hours: float) -> None:
    first, last = day_bounds(day, zone)

    assert (last - first) == timedelta(hours=hours)
    assert day_bounds(day + timedelta(days=1), zone)[0] == last
    assert day_bounds(day - timedelta(days=1), zone)[1] == first


def test_the_orders_of_a_day_of_25_hours_are_all_of_one_day(desk: Desk) -> None:
    day = date(2026, 10, 25)
    first, last = day_bounds(day, "Europe/Berlin")
    for number in range(25):
        desk.exported(f"order_{number}", placed_at=first + timedelta(hours=number))
    desk.exported("order_next", placed_at=last)

    done = reconcile(desk, day, "Europe/Berlin")

    assert (done.ours, done.theirs, done.found) == (25, 25, [])


def test_a_day_reconciled_again_is_replaced_and_other_days_stay(desk: Desk) -> None:
    desk.place("order_1")
    desk.place("order_2", placed_at=PLACED_AT + timedelta(days=1))
    reconcile(desk)
    reconcile(desk, DAY + timedelta(days=1))
    desk.export()

    reconcile(desk)

    assert desk.rows("SELECT day, order_id FROM discrepancy") == [("2026-03-02", "order_2")]


def test_a_day_that_cannot_be_asked_about_keeps_what_is_known_of_it(desk: Desk) -> None:
    desk.place()
    reconcile(desk)
    desk.erp.answer("orders", Unavailable("away"))

    with pytest.raises(Unavailable):
        reconcile(desk)

    assert len(told(desk)) == 1


def test_nothing_is_repaired_unless_asked_for(desk: Desk) -> None:
    ahead = desk.exported()
    desk.erp.change(ahead.external_id, "shipped")
    desk.place("order_2")
    desk.change("DELETE FROM message")

    reconcile(desk)

    assert desk.rows("SELECT count(*) FROM message") == [(0,)]


@pytest.mark.parametrize("message", ["none", "dead", "done"])
def test_a_repair_exports_what_is_missing_by_a_saga(desk: Desk, message: str) -> None:
    desk.place()
    if message == "none":
        desk.change("DELETE FROM message")
    else:
        desk.change("UPDATE message SET state = :state, finished_at = now()", state=message)

    done = reconcile(desk, repair=True)
    assert done.repaired_by == [f"message {desk.rows('SELECT max(id) FROM message')[0][0]}"]
    desk.export()

    assert reconcile(desk).found == []
    assert desk.show().status == "confirmed"


def test_a_repair_imports_a_newer_status_by_a_saga(desk: Desk) -> None:
    ahead = desk.exported()
    desk.erp.change(ahead.external_id, "shipped")

    reconcile(desk, repair=True)
    assert desk.apply() == {"applied": 1}

    assert reconcile(desk).found == []


def test_what_has_no_right_answer_is_left_to_a_person(desk: Desk) -> None:
    lost = desk.exported("order_1")
    del desk.erp.orders[lost.external_id]
    dear = desk.exported("order_2")
    desk.erp.put(replace(dear, total=Decimal("20.01")))
    strange = desk.exported("order_3")
    desk.erp.put(replace(strange, status="teleported", changed_at=desk.erp.now))
    ours_is_newer = desk.exported("order_4")
    desk.change("UPDATE store_order SET status = 'shipped' WHERE id = 'order_4'")
    desk.erp.put(erp_order("o-phone", None))

    done = reconcile(desk, repair=True)

    assert ours_is_newer.status == "confirmed"
    assert len(done.found) == 5
    assert done.repaired_by == [None] * 5
    assert desk.rows("SELECT DISTINCT state FROM message") == [("done",)]
