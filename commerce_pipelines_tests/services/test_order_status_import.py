"""An order is as the ERP said last, however its words come; nothing it says is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commerce_pipelines.domain.order_updates import as_update
from commerce_pipelines.domain.orders import STATUS_OF, OrderStatus
from commerce_pipelines.errors import InvalidInput, Unknown
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.services.order_poll import poll_orders
from commerce_pipelines.services.order_status_import import (
    ApplyStatuses,
    OrderStatusImport,
    parts,
)
from commerce_pipelines.store import message_operations
from commerce_pipelines.store.order_statuses import StatusWord
from commerce_pipelines_tests.orders import PLACED_AT, erp_order
from commerce_pipelines_tests.services.order_desk import Desk


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    """A desk with nothing on it."""
    return Desk(ledger)


def test_an_order_gets_the_status_that_the_erp_says(desk: Desk) -> None:
    there = desk.exported()
    desk.deliver("d1", desk.erp.change(there.external_id, "shipped"))

    assert desk.apply() == {"applied": 1}

    here = desk.show()
    assert (here.status, here.erp_status) == ("shipped", "shipped")
    assert desk.rows("SELECT state FROM message WHERE source = 'erp'") == [("done",)]


@pytest.mark.parametrize(("word", "status"), STATUS_OF.items())
def test_each_word_that_we_know_has_its_meaning(desk: Desk, word: str, status: str) -> None:
    there = desk.exported()
    desk.deliver("d1", desk.erp.change(there.external_id, word))
    desk.apply()

    assert (desk.show().status, desk.show().erp_status) == (status, word)


def test_words_in_the_wrong_order_leave_the_newest(desk: Desk) -> None:
    there = desk.exported()
    older = desk.erp.change(there.external_id, "processing")
    newer = desk.erp.change(there.external_id, "shipped")
    desk.deliver("d1", newer)
    desk.apply()
    desk.deliver("d2", older)

    assert desk.apply()["older"] == 1
    assert desk.show().status is OrderStatus.SHIPPED


def test_words_in_the_wrong_order_in_one_page_leave_the_newest(desk: Desk) -> None:
    there = desk.exported()
    older = desk.erp.change(there.external_id, "processing")
    newer = desk.erp.change(there.external_id, "shipped")
    desk.deliver("d1", newer, older)

    assert desk.apply() == {"applied": 1, "older": 1}
    assert desk.show().status is OrderStatus.SHIPPED
    assert desk.rows("SELECT count(*) FROM order_revision") == [(2,)]


def test_the_same_word_again_changes_nothing(desk: Desk) -> None:
    there = desk.exported()
    shipped = desk.erp.change(there.external_id, "shipped")
    desk.deliver("d1", shipped)
    desk.apply()
    version = desk.rows("SELECT version FROM store_order")

    assert desk.deliver("d1", shipped).repeated
    desk.deliver("d2", shipped)
    assert desk.apply()["older"] == 1

    assert desk.rows("SELECT version FROM store_order") == version


def test_an_order_is_found_by_our_reference_before_we_know_its_id_there(desk: Desk) -> None:
    desk.place()
    desk.deliver("d1", erp_order("o-9", "order_1", status="processing"))

    assert desk.apply()["applied"] == 1
    assert desk.show().status is OrderStatus.PROCESSING


def test_what_is_said_before_the_export_has_noted_it_is_not_moved_backwards_by_that(
    desk: Desk,
) -> None:
    desk.place()
    desk.erp.answer("confirm", Unknown("lost"))
    desk.fails()
    (draft,) = desk.erp.standing()
    desk.erp.change(draft.external_id, "confirmed")
    desk.deliver("d1", desk.erp.change(draft.external_id, "processing"))
    desk.apply()

    desk.recover()

    assert desk.show().status is OrderStatus.PROCESSING
    assert desk.show().sync.state == "exported"


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (erp_order("o-9", None), "none of ours"),
        (erp_order("o-9", "order_of_somebody"), "none of ours"),
        ({"id": "o-1", "status": "teleported", "changed_at": "2026-01-01T00:00:00Z"}, "teleported"),
        ({"id": "o-1", "status": "shipped", "changed_at": "2026-01-01T00:00:00"}, "zone"),
        ({"id": "o-1", "status": "shipped"}, "zone"),
        ({"id": 7, "status": "shipped", "changed_at": "2026-01-01T00:00:00Z"}, '"id"'),
        ({"id": "a\0b", "status": "shipped", "changed_at": "2026-01-01T00:00:00Z"}, '"id"'),
        ({"id": "\ud800", "status": "shipped", "changed_at": "2026-01-01T00:00:00Z"}, "half"),
    ],
)
def test_what_cannot_be_applied_waits_for_a_person_with_its_payload(
    desk: Desk, order: Any, reason: str
) -> None:
    there = desk.exported()
    good = desk.erp.change(there.external_id, "shipped")
    bad, _ = desk.deliver("d1", order, good).message_ids

    desk.apply()

    assert desk.show().status is OrderStatus.SHIPPED
    ((id_, state, error, length),) = desk.rows(
        "SELECT id, state, last_error, length(body) FROM message WHERE state = 'dead'"
    )
    assert (id_, state) == (bad, "dead")
    assert reason in error
    assert length > 20


def test_a_parked_word_is_applied_when_it_is_replayed_after_its_order_is_known(desk: Desk) -> None:
    (message,) = desk.deliver("d1", erp_order("o-9", "order_1", status="processing")).message_ids
    assert desk.apply()["unknown_order"] == 1

    desk.place()
    with desk.ledger.engine.begin() as connection:
        message_operations.replay(connection, [message], "anna", "restored from a backup")

    assert desk.apply()["applied"] == 1
    assert desk.show().status is OrderStatus.PROCESSING


def test_the_cancellation_of_a_draft_that_was_taken_back_does_not_cancel_the_order(
    desk: Desk,
) -> None:
    desk.place()
    desk.erp.answer("create", Unknown("lost"))
    desk.fails()
    desk.deliver("d1", erp_order("o-99", "order_1", status="cancelled"))

    assert desk.apply()["early"] == 1
    assert desk.show().status is OrderStatus.PLACED
    desk.recover()
    desk.change("UPDATE message SET next_try_at = now()")
    desk.export()
    assert desk.apply()["other_order"] == 1

    assert desk.show().status is OrderStatus.CONFIRMED
    assert desk.rows("SELECT DISTINCT state FROM message") == [("done",)]


def test_a_cancellation_in_the_erp_cancels_the_order_here(desk: Desk) -> None:
    there = desk.exported()
    desk.deliver("d1", desk.erp.change(there.external_id, "cancelled"))
    desk.apply()

    assert desk.show().status is OrderStatus.CANCELLED


def test_an_undo_restores_the_status_where_nobody_has_changed_it_since(desk: Desk) -> None:
    untouched, touched = desk.exported("order_1"), desk.exported("order_2")
    desk.deliver("d1", desk.erp.change(untouched.external_id, "shipped"))
    desk.deliver("d2", desk.erp.change(touched.external_id, "shipped"))
    saga_id = dies_after_applying(desk)
    before = desk.show("order_1").updated_at
    desk.change(
        "UPDATE store_order SET status = 'completed', version = version + 1 WHERE id = 'order_2'"
    )

    assert desk.recover() == {"compensated": 1}

    assert desk.show("order_1").status is OrderStatus.CONFIRMED
    assert desk.show("order_1").updated_at > before
    assert desk.show("order_2").status is OrderStatus.COMPLETED
    assert desk.rows(f"SELECT undo_result FROM saga_step WHERE saga_id = '{saga_id}'") == [
        ({"restored": 1, "superseded": 1},)
    ]


def test_after_an_undo_the_same_words_are_applied_again(desk: Desk) -> None:
    there = desk.exported()
    desk.deliver("d1", desk.erp.change(there.external_id, "shipped"))
    dies_after_applying(desk)
    desk.recover()

    assert desk.apply()["applied"] == 1
    assert desk.show().status is OrderStatus.SHIPPED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"{}",
        b'{"type": "order.updated"}',
        b'{"type": "order.updated", "orders": []}',
        b'{"type": "other", "order": {}}',
        b'{"type": "order.updated", "orders": [1]}',
    ],
)
def test_what_is_not_about_orders_is_refused_at_the_door(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parts(body)


def test_what_was_never_delivered_is_polled(desk: Desk) -> None:
    there = desk.exported()
    other = desk.exported("order_2")
    heard = desk.erp.change(other.external_id, "processing")
    desk.deliver("d1", heard)
    desk.apply()
    desk.erp.change(there.external_id, "shipped")
    desk.erp.put(erp_order("by-telephone", None, changed_at=desk.erp.now))
    desk.change("INSERT INTO watermark VALUES ('erp_orders', :at, 0)", at=PLACED_AT)

    assert poll_orders(desk.ledger.engine, desk.erp) == 1
    poll_orders(desk.ledger.engine, desk.erp)
    assert desk.apply() == {"applied": 1}

    assert desk.show().status is OrderStatus.SHIPPED
    assert desk.rows("SELECT count(*) FROM message WHERE state = 'dead'") == [(0,)]
    assert poll_orders(desk.ledger.engine, desk.erp) == 0


def test_many_orders_are_applied_in_one_saga(desk: Desk) -> None:
    orders = [desk.exported(f"order_{n}") for n in range(30)]
    later = desk.erp.now + timedelta(minutes=1)
    desk.deliver("d1", *(replace(each, status="shipped", changed_at=later) for each in orders))

    assert desk.apply()["applied"] == 30
    assert desk.rows("SELECT count(*) FROM saga WHERE kind = 'order_status_import'") == [(1,)]
    assert as_update(orders[0])["id"] == orders[0].external_id


def dies_after_applying(desk: Desk) -> str:
    """Has a run apply what waits and die before it has ended its saga; returns the saga."""
    flow = OrderStatusImport(desk.ledger, "dies")
    saga_id = flow.claim()
    assert saga_id is not None
    saga = Saga(desk.ledger, desk.ledger.join(saga_id, "dies"))
    words = [
        StatusWord(
            each.external_id, each.reference, STATUS_OF[each.status], each.status, each.changed_at
        )
        for each in desk.erp.standing()
    ]
    ids = [row[0] for row in desk.rows("SELECT id FROM message WHERE topic = 'order_updates'")]
    saga.take(ApplyStatuses(dict(zip(ids, words, strict=False))), {})
    return saga_id
