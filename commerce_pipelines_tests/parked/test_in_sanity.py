"""Every way in which the undo in Sanity parks a saga, and a person who finishes it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from commerce_pipelines_tests.parked.conftest import OpenSanity
from commerce_pipelines_tests.parked.person import WHO, WHY, Person, Printed
from commerce_pipelines_tests.parked.scene import Scene
from commerce_pipelines_tests.services.shop import Shop

Mend = Callable[[], object]
Park = Callable[[Scene, OpenSanity], Mend]


def nothing() -> None:
    """Needs no mending."""


def referenced(scene: Scene, open_sanity: OpenSanity) -> Mend:
    """A page of the editors refers to a document that we created."""
    scene.import_and_die()
    about = {"_type": "reference", "_ref": scene.document_of("Product 3")}
    scene.cms.create(_id="page", _type="page", title="Page", about=about)
    scene.park()
    return lambda: scene.cms.edit("page", unset=["about"])


def reference_gone(scene: Scene, open_sanity: OpenSanity) -> Mend:
    """A field of ours held a reference, to a document that was deleted since."""
    maker = {"_id": "maker", "_type": "maker", "title": "Maker"}
    scene.cms.create(**maker)
    first = next(iter(scene.documents))
    reference = {"_type": "reference", "_ref": "maker"}
    scene.cms.edit(first, set={"brand": reference})
    scene.documents[first]["brand"] = reference
    scene.import_and_die()
    scene.cms.delete("maker")
    scene.park()
    return lambda: scene.cms.create(**maker)


def delete_refused(scene: Scene, open_sanity: OpenSanity) -> Mend:
    """The token may not delete."""
    scene.import_and_die()
    scene.cms.fault("refuse_delete", times=None)
    scene.park()
    return scene.cms.heal


def token_lost(scene: Scene, open_sanity: OpenSanity) -> Mend:
    """The token is no good any more."""
    scene.import_and_die()
    scene.park(Shop(scene.shop.ledger, open_sanity(token="revoked")))
    return nothing


def dataset_lost(scene: Scene, open_sanity: OpenSanity) -> Mend:
    """The settings name another dataset."""
    scene.import_and_die()
    scene.park(Shop(scene.shop.ledger, open_sanity(dataset="staging")))
    return nothing


def silent(kind: str, route: str) -> Park:
    """Sanity answers with errors until the tries are used up."""

    def park(scene: Scene, open_sanity: OpenSanity) -> Mend:
        scene.import_and_die()
        scene.cms.fault(kind, route=route, times=None)
        scene.park()
        return scene.cms.heal

    return park


def restless_editors(scene: Scene, open_sanity: OpenSanity) -> Mend:
    """Somebody writes a document each time between our look and our write."""
    scene.import_and_die()
    restless = open_sanity()
    numbers = count()
    first = next(iter(scene.documents))
    restless.before_write = lambda: scene.cms.edit(first, set={"visits": next(numbers)})
    scene.park(Shop(scene.shop.ledger, restless))
    scene.documents[first]["visits"] = next(numbers) - 1
    return nothing


def in_doubt(*, landed: bool) -> Park:
    """The write's answer never came, and Sanity does not answer whether it is in."""

    def park(scene: Scene, open_sanity: OpenSanity) -> Mend:
        scene.import_in_doubt(landed=landed)
        scene.cms.fault("unavailable_before", times=None)
        scene.park()
        return scene.cms.heal

    return park


def in_doubt_without_token(*, landed: bool) -> Park:
    """The write's answer never came, and the token is no good any more."""

    def park(scene: Scene, open_sanity: OpenSanity) -> Mend:
        scene.import_in_doubt(landed=landed)
        scene.park(Shop(scene.shop.ledger, open_sanity(token="revoked")))
        return nothing

    return park


WAYS: dict[str, tuple[Park, str]] = {
    "a document is referenced": (referenced, "(from page)"),
    "a reference leads nowhere": (reference_gone, '"maker"'),
    "deletes are refused": (delete_refused, "403"),
    "the token is lost": (token_lost, "401"),
    "the dataset is lost": (dataset_lost, "404"),
    "writes fail": (silent("unavailable_before", "mutate"), "503"),
    "writes meet a gateway": (silent("html_error", "mutate"), "502"),
    "writes are too many": (silent("rate_limited", "mutate"), "429"),
    "reads fail": (silent("unavailable_before", "/doc/"), "503"),
    "editors are restless": (restless_editors, "change faster"),
    "in doubt, landed": (in_doubt(landed=True), "503"),
    "in doubt, not landed": (in_doubt(landed=False), "503"),
    "in doubt, landed, no token": (in_doubt_without_token(landed=True), "401"),
    "in doubt, not landed, no token": (in_doubt_without_token(landed=False), "401"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_printed_finishes_it(
    way: str, scene: Scene, person: Person, open_sanity: OpenSanity
) -> None:
    park, cause = WAYS[way]
    mend = park(scene, open_sanity)
    assert cause in person.read(scene.saga_id)["problem"]

    mend()
    printed = person.read(scene.saga_id)
    person.send(printed)
    person.decide(printed, "resolve")

    scene.assert_undone()
    assert_recorded(scene, "resolve")


@pytest.mark.parametrize("way", WAYS)
def test_it_is_tried_again_when_the_cause_is_gone(
    way: str, scene: Scene, person: Person, open_sanity: OpenSanity
) -> None:
    park, _ = WAYS[way]
    mend = park(scene, open_sanity)
    printed = person.read(scene.saga_id)

    mend()
    person.decide(printed, "retry")

    scene.assert_undone()
    assert_recorded(scene, "retry")


@pytest.mark.parametrize("way", WAYS)
def test_the_print_says_what_was_there_what_we_wrote_and_what_is_there_now(
    way: str, scene: Scene, person: Person, open_sanity: OpenSanity
) -> None:
    park, _ = WAYS[way]
    park(scene, open_sanity)()

    printed = person.read(scene.saga_id)

    store, sanity = printed["steps"]
    assert [each["undo"] for each in store["products"]].count("delete") == 1
    assert len([each for each in store["products"] if each["before"] and each["now"]]) == 2
    assert (sanity["system"], sanity["state"], sanity["document_count"]) == ("sanity", "parked", 3)
    assert sanity["errors"]
    first = document(printed, next(iter(scene.documents)))
    assert (first["before"]["title"], first["written"]["title"]) == ("Product 1", "New")
    assert first["now"]["_rev"]
    assert printed["runs"][0]["run_id"] == "run"
    assert printed["failed_because"]


def document(printed: Printed, id_: str) -> Printed:
    """Returns what is printed of a document."""
    (found,) = (each for each in printed["steps"][1]["documents"] if each["id"] == id_)
    return dict(found)


def assert_recorded(scene: Scene, decision: str) -> None:
    """Looks whether the ledger knows who decided, and why."""
    decided = "SELECT what, who, note FROM saga_event WHERE what = :what"
    assert scene.shop.rows(decided, what=decision) == [(decision, WHO, WHY)]
