"""Each order is in the ERP once and whole, or not at all; once confirmed it stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text

from commerce_pipelines.domain.orders import OrderStatus
from commerce_pipelines.errors import Refused, Unauthorised, Unavailable, Unknown
from commerce_pipelines.saga import operations
from commerce_pipelines.saga.compensation import MOST_TRIES
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.services import order_export
from commerce_pipelines.services.order_export import KIND, OrderExport
from commerce_pipelines.store import message_operations
from commerce_pipelines.store.orders import load_order
from commerce_pipelines_tests.orders import as_erp_order, landed
from commerce_pipelines_tests.services.order_desk import Desk


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    """A desk with nothing on it."""
    return Desk(ledger)


def test_an_order_is_in_the_erp_whole_and_confirmed_and_its_id_is_here(desk: Desk) -> None:
    desk.place()

    (done,) = desk.export()

    (there,) = desk.erp.orders.values()
    assert (there.reference, there.status) == ("order_1", "confirmed")
    assert (there.total, there.currency_code) == (Decimal("20.00"), "EUR")
    assert [(line.variant, line.quantity) for line in there.lines] == [("v-1", 2)]
    assert done == {
        "order_id": "order_1",
        "action": "exported",
        "external_id": "o-1",
        "number": "SO-o-1",
    }
    here = desk.show()
    assert (here.status, here.erp_id, here.erp_status) == ("confirmed", "o-1", "confirmed")
    assert (here.sync.state, here.sync.reason) == ("exported", None)
    assert desk.rows("SELECT state FROM message") == [("done",)]
    assert desk.rows("SELECT confirmed_at IS NOT NULL FROM reservation") == [(True,)]


def test_an_order_waits_until_it_is_exported(desk: Desk) -> None:
    desk.place()

    assert desk.show().sync.state == "waiting"
    assert desk.show("order_2") is None


def test_an_order_announced_again_is_not_exported_again(desk: Desk) -> None:
    desk.place()
    desk.export()
    with desk.ledger.engine.begin() as connection:
        order_export.announce_order(connection, "order_1")
        (message,) = connection.execute(text("SELECT id FROM message")).scalars()
        message_operations.replay(connection, [message], "anna", "to be sure")

    (done,) = desk.export()

    assert done == {"order_id": "order_1", "action": "known", "external_id": "o-1"}
    assert desk.erp.times("create") == 1


def test_an_order_that_was_cancelled_before_is_not_exported(desk: Desk) -> None:
    desk.place(status="cancelled")

    (done,) = desk.export()

    assert done["action"] == "cancelled"
    assert desk.erp.asked == []
    assert desk.show().sync.state == "not_needed"


def test_an_order_that_the_erp_refuses_is_undone_and_says_why(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("create", Refused("the variant is discontinued"))

    desk.fails()
    assert desk.recover() == {"compensated": 1}

    here = desk.show()
    assert (here.status, here.erp_id) == ("placed", None)
    assert (here.sync.state, here.sync.reason) == ("waiting", "the variant is discontinued")


def test_an_order_that_is_refused_to_the_last_try_waits_for_a_person(desk: Desk) -> None:
    desk.place()
    for _ in range(10):
        desk.erp.answer("create", Refused("the variant is discontinued"))
        desk.fails()
        desk.recover()

    here = desk.show()
    assert (here.sync.state, here.sync.reason) == ("failed", "the variant is discontinued")
    assert desk.export() == []


@pytest.mark.parametrize("error", [Unknown("lost"), landed(Unknown("lost")), Unavailable("away")])
def test_a_draft_without_an_answer_is_undone_and_the_next_try_makes_one_order(
    desk: Desk, error: Exception
) -> None:
    desk.place()
    desk.erp.answer("create", error)

    desk.fails()
    assert desk.recover()["compensated"] == 1
    assert desk.erp.standing() == []
    desk.recover()
    (done,) = desk.export()

    (there,) = desk.erp.standing()
    assert (done["action"], there.status) == ("exported", "confirmed")
    assert desk.show().erp_id == there.external_id


@pytest.mark.parametrize("error", [Unknown("lost"), landed(Unknown("lost")), Unavailable("away")])
def test_a_confirmation_without_an_answer_goes_forward(desk: Desk, error: Exception) -> None:
    desk.place()
    desk.erp.answer("confirm", error)

    desk.fails()
    assert desk.show().sync.state == "waiting"
    assert desk.rows("SELECT status, pivoted FROM saga") == [("running", True)]
    assert desk.recover() == {"finished": 1}

    (there,) = desk.erp.orders.values()
    assert there.status == "confirmed"
    assert desk.show().erp_id == there.external_id
    assert desk.rows("SELECT state FROM message") == [("done",)]
    assert desk.erp.times("cancel") == 0


def test_an_order_on_its_way_forward_is_not_taken_up_by_another_run(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", Unknown("lost"))
    desk.fails()
    desk.change("UPDATE message SET next_try_at = now()")

    assert desk.export() == []


def test_a_confirmation_that_is_refused_leaves_no_draft(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", Refused("the customer owes too much"))

    desk.fails()
    assert desk.recover() == {"compensated": 1}

    assert desk.erp.standing() == []
    assert desk.show().sync.reason == "the customer owes too much"


def test_a_confirmation_that_landed_although_it_seems_refused_counts(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", landed(Refused("the first of two tries landed")))

    (done,) = desk.export()

    assert done["action"] == "exported"


def test_a_confirmation_that_is_refused_and_cannot_be_looked_at_is_in_doubt(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", landed(Unauthorised("the key has run out")))
    desk.erp.answer("find", Unauthorised("the key has run out"))

    assert isinstance(desk.fails(), Unknown)
    assert desk.recover() == {"finished": 1}
    assert desk.show().status is OrderStatus.CONFIRMED


def test_what_cannot_go_forward_is_parked_until_a_person_has_it_go_on(desk: Desk) -> None:
    desk.place()
    out_of_date = [Unauthorised("the key has run out")] * MOST_TRIES
    desk.erp.answer("confirm", landed(Unknown("lost")), *out_of_date)
    desk.erp.answer("find", *out_of_date)
    desk.fails()
    outcomes = [desk.recover() for _ in range(MOST_TRIES)]

    assert outcomes == [{"later": 1}] * (MOST_TRIES - 1) + [{"parked": 1}]
    assert desk.show().sync.state == "parked"
    with desk.ledger.engine.begin() as connection:
        (saga_id,) = connection.execute(text("SELECT saga_id FROM saga")).scalars()
        operations.retry(connection, saga_id, Decision("anna", "the key is renewed"))

    assert desk.recover() == {"finished": 1}
    assert desk.show().sync.state == "exported"


def test_a_draft_that_somebody_has_confirmed_there_is_not_cancelled(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", desk.somebody_cancels)
    desk.fails()
    desk.erp.change("o-1", "confirmed")

    assert desk.recover() == {"parked": 1}

    assert desk.erp.orders["o-1"].status == "confirmed"
    assert desk.erp.times("cancel") == 0


def test_a_draft_that_is_cancelled_there_already_is_undone(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("confirm", desk.somebody_cancels)
    desk.fails()

    assert desk.recover() == {"compensated": 1}


def test_an_order_that_is_there_and_confirmed_is_taken_as_it_is_and_never_cancelled(
    desk: Desk,
) -> None:
    desk.place()
    with desk.ledger.engine.connect() as connection:
        known = load_order(connection, "order_1")
    assert known is not None
    desk.erp.put(as_erp_order(known.order, "o-7", status="processing"))
    flow = OrderExport(desk.ledger, desk.erp, "dies")
    saga_id = flow.claim()
    assert saga_id is not None
    desk.change(
        "CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'boom'; END $$"
    )
    desk.change("CREATE TRIGGER boom BEFORE INSERT ON order_revision EXECUTE FUNCTION boom()")
    with pytest.raises(Exception, match="boom"):
        flow.export(saga_id)
    desk.change("DROP TRIGGER boom ON order_revision")

    assert desk.recover() == {"compensated": 1}
    assert desk.erp.orders["o-7"].status == "processing"
    desk.recover()
    (done,) = desk.export()

    assert (done["action"], done["external_id"]) == ("found", "o-7")
    assert desk.show().status is OrderStatus.PROCESSING


def test_the_audit_leaves_an_order_that_was_exported_again(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("create", Unknown("lost"))
    desk.fails()
    desk.recover()
    desk.change("UPDATE message SET next_try_at = now()")
    desk.export()

    assert desk.recover() == {"audited_absent": 1}
    assert desk.erp.standing()[0].status == "confirmed"


def test_the_audit_cancels_a_draft_that_came_late(desk: Desk) -> None:
    desk.place()
    desk.erp.answer("create", Unknown("lost"))
    desk.fails()
    desk.recover()
    with desk.ledger.engine.connect() as connection:
        known = load_order(connection, "order_1")
    assert known is not None
    desk.erp.put(as_erp_order(known.order, "o-1"))

    assert desk.recover() == {"audited_undone": 1}
    assert desk.erp.standing() == []


def test_many_runs_at_once_export_each_order_once(desk: Desk) -> None:
    for number in range(40):
        desk.place(f"order_{number}")

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(desk.export, [f"run-{n}" for n in range(6)]))

    assert sum(len(each) for each in done) == 40
    assert len(desk.erp.orders) == 40
    assert {order.status for order in desk.erp.orders.values()} == {"confirmed"}


def test_an_order_held_by_another_export_does_not_keep_the_others_waiting(desk: Desk) -> None:
    desk.place("order_1")
    desk.place("order_2")
    with desk.ledger.engine.begin() as connection:
        desk.ledger.begin(
            connection, saga_id="held", kind=KIND, lock_key="order_1", run_id="another"
        )

    (done,) = desk.export()

    assert done["order_id"] == "order_2"
    assert "still working" in desk.show("order_1").sync.reason
