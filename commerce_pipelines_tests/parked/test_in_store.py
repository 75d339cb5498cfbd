"""Every way in which the store's undo parks a saga, and steps that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.step import JSON, ExternalStep, Undo
from commerce_pipelines.services.pim_import import KIND, steps
from commerce_pipelines_tests.parked.person import Person
from commerce_pipelines_tests.parked.scene import CHANGES, Scene
from commerce_pipelines_tests.parked.test_in_sanity import assert_recorded
from commerce_pipelines_tests.services.cms import Cms

WISHLIST = "CREATE TABLE wishlist (product_id text REFERENCES product)"
WISH = "INSERT INTO wishlist SELECT id FROM product WHERE title = 'Product 3'"


@pytest.fixture
def wished(scene: Scene) -> Scene:
    """Somebody else's table refers to a product that the import created."""
    scene.shop.change(WISHLIST)
    scene.import_and_die()
    scene.shop.change(WISH)
    scene.park()
    return scene


def test_the_sql_printed_finishes_it(wished: Scene, person: Person) -> None:
    printed = person.read(wished.saga_id)
    assert 'still referenced from table "wishlist"' in printed["problem"]
    assert "[SQL" not in printed["problem"]

    person.run_sql("DELETE FROM wishlist")
    person.send(printed)
    person.decide(printed, "resolve")

    wished.assert_undone()
    assert_recorded(wished, "resolve")


def test_it_is_tried_again_when_the_cause_is_gone(wished: Scene, person: Person) -> None:
    printed = person.read(wished.saga_id)

    person.run_sql("DELETE FROM wishlist")
    person.decide(printed, "retry")

    wished.assert_undone()
    assert_recorded(wished, "retry")


def test_a_product_can_be_left_as_it_is(wished: Scene, person: Person) -> None:
    printed = person.read(wished.saga_id)
    (stuck,) = (each for each in printed["steps"][0]["products"] if each["undo"] == "delete")
    (leave,) = (each for each in printed["steps"][0]["requests"] if each.get("optional"))

    person.run_sql(leave["sql"].replace("PRODUCT_ID", stuck["product_id"]))
    person.decide(printed, "retry")
    wished.shop.recover()

    assert wished.status() == "compensated"
    assert wished.shop.titles() == ["Product 1", "Product 2", "Product 3"]
    assert wished.shop.values("SELECT count(*) FROM wishlist") == [1]


def test_accepted_products_stay_and_may_be_imported_again(wished: Scene, person: Person) -> None:
    person.decide(person.read(wished.saga_id), "accept")

    wished.shop.recover()

    assert wished.status() == "compensated"
    assert wished.shop.titles() == ["New", "New 2", "Product 3"]
    wished.shop.make_due()
    wished.shop.run()
    assert wished.cms.titles() == wished.shop.titles() == ["New", "New 2", "Product 3"]


def test_the_print_says_what_was_there_and_what_is_there_now(wished: Scene, person: Person) -> None:
    (store, _) = person.read(wished.saga_id)["steps"]

    assert store["undo_counts"] == {"delete": 1, "restore": 2}
    by_undo = {each["undo"]: each for each in store["products"]}
    assert by_undo["delete"]["before"] is None
    restored = next(each for each in store["products"] if each["now"]["title"] == "New")
    assert len(restored["before"]["variants"]) == 2
    assert restored["now"]["variants"] is None
    assert len(store["errors"]) == 5


def test_a_handle_taken_meanwhile_does_not_park_a_page(scene: Scene) -> None:
    scene.import_and_die()
    scene.shop.change("UPDATE product SET handle = 'other' WHERE title = 'New'")
    scene.shop.change("INSERT INTO product (id, title, handle) VALUES ('x', 'X', 'product-1')")

    assert scene.shop.recover() == {"compensated": 1}

    (report,) = scene.shop.values(
        "SELECT undo_result FROM saga_step WHERE seq = 1 AND saga_id = :id", id=scene.saga_id
    )
    (left,) = report["superseded_names"]
    assert (left["field"], left["name"], left["held_by"]) == ("handle", "product-1", "x")
    assert scene.shop.titles() == ["Product 1", "Product 2", "X"]


@dataclass(frozen=True)
class WriteNote(ExternalStep):
    """A step that only a newer version knows."""

    name = "sanity.write_note"
    settle_seconds: ClassVar[float] = 1.0
    seals = True
    cms: Cms

    def act(self, plan: JSON, key: str) -> JSON:
        """Creates a document."""
        self.cms.create(_id=plan["document"], _type="note", title=key)
        return {"document": plan["document"]}

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Finds the document."""
        return {"document": plan["document"]} if key in self.cms.titles() else None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Deletes the document."""
        self.cms.delete(plan["document"])
        return Undo()


@pytest.fixture
def unknown(scene: Scene) -> Scene:
    """A saga with a step of a newer version, which was rolled back since."""
    scene.shop.receive(*CHANGES)
    flow = scene.shop.flow()
    opened = flow.open_page()
    assert opened is not None
    scene.saga_id = opened.saga_id
    flow.store_page(opened)
    with pytest.raises(RuntimeError), flow._saga(opened.saga_id) as saga:
        saga.take(WriteNote(scene.cms), {"document": "note-1"})
        raise RuntimeError("boom")
    assert scene.shop.recover() == {"parked": 1}
    return scene


def test_an_unknown_step_is_undone_by_hand_from_its_plan(unknown: Scene, person: Person) -> None:
    printed = person.read(unknown.saga_id)
    (_, note) = printed["steps"]
    assert "No undo is known for pim_import/sanity.write_note" in printed["problem"]
    assert "deploy" in printed["advice"]

    unknown.cms.delete(note["plan"]["document"])
    person.decide(printed, "resolve")

    unknown.assert_undone()
    assert "note-1" not in str(unknown.cms.documents())
    assert_recorded(unknown, "resolve")


def test_an_unknown_step_is_tried_again_by_the_version_that_knows_it(
    unknown: Scene, person: Person
) -> None:
    person.decide(person.read(unknown.saga_id), "retry")

    newer = {**steps(unknown.shop.sanity), WriteNote.name: WriteNote(unknown.cms)}
    Compensator(unknown.shop.ledger, {KIND: newer}).compensate(unknown.saga_id, "newer")

    unknown.assert_undone()
    assert "note-1" not in str(unknown.cms.documents())
