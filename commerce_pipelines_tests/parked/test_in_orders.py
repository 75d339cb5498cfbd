"""Every way in which an order parks a saga, and a person who finishes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.cli.conftest import Commands
from commerce_pipelines_tests.parked.erp_scene import dying
from commerce_pipelines_tests.parked.export_scene import (
    CONFIRMATIONS,
    DRAFTS,
    ORDER,
    ExportScene,
    drafted,
)
from commerce_pipelines_tests.parked.person import Person

# Something refers to what an undo would delete, or forbids what it would change.
PARCEL = """
    CREATE TABLE parcel (system text, entity text, external_id text,
        FOREIGN KEY (system, entity, external_id) REFERENCES external_id);
    INSERT INTO parcel SELECT system, entity, external_id FROM external_id"""
FREE = "DELETE FROM parcel"
LOCK = """
    CREATE FUNCTION locked() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'orders are locked'; END $$;
    CREATE TRIGGER locked BEFORE UPDATE ON store_order EXECUTE FUNCTION locked()"""
UNLOCK = "DROP TRIGGER locked ON store_order"


@pytest.fixture
def scene(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[ExportScene]:
    """The order before its export."""
    scene = ExportScene(ledger, sandbox.addresses)
    scene.start()
    yield scene
    scene.close()


@pytest.mark.parametrize("way", DRAFTS)
def test_what_is_printed_takes_a_draft_back(way: str, scene: ExportScene, person: Person) -> None:
    park, cause = DRAFTS[way]
    park(scene)
    scene.heal()
    drafts = scene.under_reference()
    printed = person.read(scene.saga_id)
    assert cause in printed["problem"]

    person.send(printed)
    person.decide(printed, "resolve")

    scene.assert_exported(*drafts)


@pytest.fixture
def confirmed_there(scene: ExportScene) -> ExportScene:
    """Somebody in the ERP has confirmed our draft before we did."""
    scene.world.advance(scene.draft_and_die(), "confirmed")
    scene.park()
    return scene


def test_an_order_that_somebody_has_confirmed_is_accepted_and_kept(
    confirmed_there: ExportScene, person: Person
) -> None:
    printed = person.read(confirmed_there.saga_id)
    assert "somebody has confirmed it" in printed["problem"]
    (shown,) = printed["steps"][0]["records"]
    assert (shown["undo"], shown["now"]["status"]) == ("confirmed_there", "confirmed")

    person.send(printed)
    person.decide(printed, "accept")

    confirmed_there.assert_exported()


def test_an_order_that_somebody_has_confirmed_can_be_cancelled(
    confirmed_there: ExportScene, person: Person
) -> None:
    (order,) = confirmed_there.under_reference()
    printed = person.read(confirmed_there.saga_id)
    (cancel,) = printed["steps"][0]["requests"]
    assert "/cancel" in person.run("sagas", "show", confirmed_there.saga_id).stdout

    person.send_one(cancel)
    person.decide(printed, "resolve")

    confirmed_there.assert_exported(order)


@pytest.mark.parametrize("way", CONFIRMATIONS)
def test_what_is_printed_confirms_an_order_past_the_point_of_no_return(
    way: str, scene: ExportScene, person: Person
) -> None:
    park, cause = CONFIRMATIONS[way]
    park(scene)
    scene.heal()
    printed = person.read(scene.saga_id)
    assert cause in printed["problem"]
    assert "could not be finished" in printed["problem"]
    assert "by hand: go on" in str(printed["decisions"])
    assert "undo" not in printed["steps"][0]["records"][0]

    person.send(printed)
    assert list(scene.under_reference().values()) == ["confirmed"]
    person.decide(printed, "retry")

    scene.assert_exported()


def test_an_order_that_was_cancelled_there_is_given_up_and_exported_anew(
    scene: ExportScene, person: Person
) -> None:
    scene.export_and_fail("unavailable_before", "/confirm")
    scene.heal()
    (order,) = scene.under_reference()
    scene.world.advance(order, "cancelled")
    scene.park()
    printed = person.read(scene.saga_id)
    assert "its message comes again" in printed["advice"]
    assert printed["steps"][1]["records"][0]["undo"] == "cancelled"

    person.send(printed)
    person.decide(printed, "accept")

    scene.assert_exported(order)


def test_what_keeps_a_confirmed_order_from_being_noted_is_printed_and_can_be_removed(
    scene: ExportScene, person: Person
) -> None:
    scene.export_and_fail("unavailable_before", "/confirm")
    scene.heal()
    (order,) = scene.under_reference()
    scene.change(
        "INSERT INTO external_id (system, entity, external_id, internal_id) "
        "VALUES ('erp', 'order', :order, 'order_9')",
        order=order,
    )
    scene.park()
    printed = person.read(scene.saga_id)
    assert f"knows the ERP's {order} as order_9" in str(printed["steps"][1]["requests"])

    person.send(printed)
    person.send_one(printed["steps"][1]["requests"][0])
    person.decide(printed, "retry")

    scene.assert_exported()


@pytest.fixture
def late(scene: ExportScene) -> ExportScene:
    """A draft that came long after its export was undone, and could not be cancelled then."""
    scene.export_and_fail("unavailable_before", "/orders")
    scene.heal()
    scene.sweep()
    assert scene.status() == "compensated"
    scene.put("draft")
    scene.change("UPDATE saga_step SET audit_at = now()")
    assert scene.sweep(scene.without_cancelling()) == {"audited_parked": 1}
    return scene


def test_what_is_printed_takes_a_late_draft_back(late: ExportScene, person: Person) -> None:
    drafts = late.under_reference()
    printed = person.read(late.saga_id)
    assert "A late effect" in printed["problem"]

    person.send(printed)
    person.decide(printed, "resolve")

    late.assert_exported(*drafts)


def test_a_late_draft_that_another_export_has_taken_is_not_to_be_cancelled(
    late: ExportScene, person: Person
) -> None:
    late.assert_exported()

    printed = person.read(late.saga_id)
    assert printed["steps"][0]["records"][0]["undo"] == "absent"
    person.send(printed)
    person.decide(printed, "resolve")

    late.assert_exported()


def test_without_an_erp_the_print_says_what_to_set(scene: ExportScene, person: Person) -> None:
    drafted(scene)
    without = {name: it for name, it in person.settings.items() if not name.startswith("ERP_")}

    (step,) = Person(Commands(without), without).read(scene.saga_id)["steps"]

    assert "set ERP_URL and ERP_API_KEY" in step["unseen"]
    assert step["records"][0]["written"]["reference"] == ORDER


def test_an_erp_that_does_not_let_us_in_is_told(scene: ExportScene, person: Person) -> None:
    drafted(scene)
    with_old = {**person.settings, "ERP_API_KEY": "revoked"}

    (step,) = Person(Commands(with_old), with_old).read(scene.saga_id)["steps"]

    assert "What is there now cannot be read: " in step["unseen"]
    assert "401" in step["unseen"]


def test_the_sql_printed_forgets_what_was_noted_of_an_order(
    scene: ExportScene, person: Person
) -> None:
    scene.put("confirmed")
    scene.export_and_die()
    scene.change(PARCEL)
    scene.park()
    printed = person.read(scene.saga_id)
    assert 'still referenced from table "parcel"' in printed["problem"]
    assert printed["steps"][0]["records"][0]["undo"] == "found"
    (shown,) = printed["steps"][1]["orders"]
    assert (shown["id"], shown["undo"]) == (ORDER, "restore")
    assert (shown["before"]["status"], shown["now"]["status"]) == ("placed", "confirmed")

    person.run_sql(FREE)
    person.send(printed)
    here = scene.desk.show(ORDER)
    assert (here.status, here.erp_id, here.erp_status) == ("placed", None, None)
    assert scene.rows("SELECT confirmed_at FROM reservation") == [(None,)]
    person.decide(printed, "resolve")

    scene.assert_exported()


def test_the_sql_printed_restores_the_statuses_of_an_import(
    scene: ExportScene, person: Person
) -> None:
    scene.desk.export()
    _import_and_die(scene, "shipped")
    scene.change(LOCK)
    scene.park()
    printed = person.read(scene.saga_id)
    assert "orders are locked" in printed["problem"]
    assert printed["steps"][0]["undo_counts"] == {"restore": 1}

    person.run_sql(UNLOCK)
    person.send(printed)
    assert scene.desk.show(ORDER).status == "confirmed"
    person.decide(printed, "resolve")

    scene.sweep()
    assert scene.status() == "compensated"
    scene.change("UPDATE message SET next_try_at = now()")
    assert scene.desk.apply() == {"applied": 1}
    assert scene.desk.show(ORDER).status == "shipped"


def _import_and_die(scene: ExportScene, status: str) -> None:
    """Takes the ERP's word on the order in a run that dies before it ends the saga."""
    scene.desk.deliver("d1", scene.desk.erp.change("o-1", status))
    with dying(scene.change), pytest.raises(Exception, match="dies"):
        scene.desk.apply()
    ((scene.saga_id,),) = scene.rows("SELECT saga_id FROM saga WHERE status = 'aborting'")
