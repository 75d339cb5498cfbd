"""The other side's brands come into the store, each once, whatever the other side does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from commerce_pipelines.errors import Busy, CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import BrandSync
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


def test_a_first_sync_brings_all_brands(sides: Sides) -> None:
    for name in ("Acme", "Zenith"):
        sides.there.create(name=name, description=f"{name} things")

    done = sides.sync()

    assert (done["created"], done["updated"], done["unchanged"]) == (2, 0, 2)
    assert [(one.name, one.description) for one in sides.here()] == [
        ("Acme", "Acme things"),
        ("Zenith", "Zenith things"),
    ]


def test_a_sync_of_nothing_new_is_one_request_and_changes_no_row(sides: Sides) -> None:
    for number in range(5):
        sides.there.create(name=f"Brand {number}")
    sides.sync()
    before = sides.rows("SELECT xmin::text, id FROM brand ORDER BY id")
    asked = sides.requests()

    assert sides.sync() == {"rejected": []}

    assert sides.requests() == asked + 1
    assert sides.rows("SELECT xmin::text, id FROM brand ORDER BY id") == before
    assert sides.rows("SELECT count(*) FROM saga") == [(1,)]


def test_a_brand_that_the_store_has_under_the_same_name_is_adopted(sides: Sides) -> None:
    here = sides.save("Señal")
    there = sides.there.create(name="  SENAL ", description="Radios")

    done = sides.sync()

    assert (done["created"], done["adopted"], done["updated"]) == (0, 1, 1)
    (brand,) = sides.here()
    assert (brand.id, brand.external_ids, brand.description) == (here.id, [there["id"]], "Radios")


def test_two_brands_there_of_one_name_are_one_here(sides: Sides) -> None:
    ids = [sides.there.create(name=name)["id"] for name in ("Acme", "ACME")]

    sides.sync()
    sides.sync()

    (brand,) = sides.here()
    assert brand.external_ids == sorted(ids)


def test_a_second_one_of_a_name_becomes_a_brand_of_its_own_when_it_is_renamed(
    sides: Sides,
) -> None:
    ids = sorted(sides.there.create(name="Acme")["id"] for _ in range(2))
    sides.sync()

    sides.there.patch(ids[1], name="Zenith")
    sides.sync()

    assert {brand.name: brand.external_ids for brand in sides.here()} == {
        "Acme": [ids[0]],
        "Zenith": [ids[1]],
    }


def test_a_brand_renamed_there_is_renamed_here(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    (before,) = sides.here()

    sides.there.patch(there["id"], name="Acme & Sons")
    done = sides.sync()

    (after,) = sides.here()
    assert (done["created"], done["updated"]) == (0, 1)
    assert (after.id, after.name) == (before.id, "Acme & Sons")


def test_two_brands_may_swap_their_names(sides: Sides) -> None:
    acme, zenith = (sides.there.create(name=name)["id"] for name in ("Acme", "Zenith"))
    sides.sync()
    before = {brand.external_ids[0]: brand.id for brand in sides.here()}

    sides.there.patch(acme, name="Zenith")
    sides.there.patch(zenith, name="Acme")
    sides.sync()

    assert {brand.external_ids[0]: brand.id for brand in sides.here()} == before
    assert {brand.external_ids[0]: brand.name for brand in sides.here()} == {
        acme: "Zenith",
        zenith: "Acme",
    }


def test_a_name_that_another_brand_has_is_refused_with_a_reason(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.save("Zenith")

    sides.there.patch(there["id"], name="Zenith")
    done = sides.sync()

    assert sides.names_here() == ["Acme", "Zenith"]
    (left,) = done["left"]
    assert (left["action"], "Zenith belongs to another brand" in left["note"]) == ("refused", True)
    assert sides.sync() == {"rejected": []}


def test_a_brand_gone_there_is_marked_and_comes_back_when_it_does(sides: Sides) -> None:
    gone = sides.there.create(name="Acme")
    sides.there.create(name="Zenith")
    sides.sync()

    sides.there.delete(gone["id"])
    done = sides.sync()

    assert done["gone"] == 1
    assert {brand.name: brand.gone_at is None for brand in sides.here()} == {
        "Acme": False,
        "Zenith": True,
    }
    assert sides.sync() == {"rejected": []}

    sides.there.create(name="Acme")
    sides.sync()
    assert {brand.name: brand.gone_at is None for brand in sides.here()} == {
        "Acme": True,
        "Zenith": True,
    }


def test_one_gone_and_one_new_in_the_same_minute_are_both_seen(sides: Sides) -> None:
    gone = sides.there.create(name="Acme")
    sides.sync()

    sides.there.delete(gone["id"])
    sides.there.create(name="Zenith")
    sides.sync()

    assert {brand.name: brand.gone_at is None for brand in sides.here()} == {
        "Acme": False,
        "Zenith": True,
    }


def test_the_same_brand_twice_in_a_page_is_one(sides: Sides) -> None:
    sides.there.create(name="Acme")
    sides.fault("repeated_rows", times=None)

    assert sides.sync()["created"] == 1
    assert sides.names_here() == ["Acme"]


def test_a_429_in_the_middle_of_a_first_sync_is_waited_for(sides: Sides) -> None:
    for number in range(30):
        sides.there.create(name=f"Brand {number:02}")
    sides.fault("rate_limited", seconds=0.1)

    assert sides.sync()["created"] == 30


def test_a_brand_changed_on_both_sides_is_as_the_newer_change_says(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    (here,) = sides.here()

    sides.there.patch(there["id"], description="from there")
    sides.save("Acme", description="from here, later")
    done = sides.sync()

    assert [left["action"] for left in done["left"]] == ["lost"]
    assert sides.here()[0].description == "from here, later"

    sides.there.patch(there["id"], description="from there, last")
    sides.sync()
    assert sides.here()[0].description == "from there, last"
    assert sides.here()[0].id == here.id


def test_ten_syncs_at_once_make_each_brand_once(sides: Sides) -> None:
    for number in range(20):
        sides.there.create(name=f"Brand {number:02}")
    ended: list[str] = []

    def sync(number: int) -> None:
        try:
            sides.sync(f"run-{number}")
            ended.append("done")
        except Busy:
            ended.append("busy")

    threads = [threading.Thread(target=sync, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ended) == 10
    assert "done" in ended
    assert sides.names_here() == [f"Brand {number:02}" for number in range(20)]


def test_a_brand_system_that_does_not_answer_leaves_everything_as_it_was(sides: Sides) -> None:
    sides.there.create(name="Acme")
    sides.fault("unavailable_before", times=None)

    with pytest.raises(CommerceError):
        sides.sync()

    assert sides.here() == []
    assert sides.rows("SELECT count(*) FROM saga") == [(0,)]


def test_a_sync_that_read_before_a_newer_one_changes_nothing_back(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.patch(there["id"], name="Acme 1")
    slow = BrandSync(sides.ledger, sides.brand_system, "slow")
    read_early = slow.retrieve()
    sides.there.patch(there["id"], name="Acme 2")
    sides.sync()

    assert slow.decide(read_early).saga_id is None

    assert sides.names_here() == ["Acme 2"]


def test_a_sync_that_read_before_a_push_changes_nothing_back(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.patch(there["id"], description="theirs")
    slow = BrandSync(sides.ledger, sides.brand_system, "slow")
    read_early = slow.retrieve()
    sides.rename(sides.here()[0].id, "Ours")
    sides.push()

    assert slow.decide(read_early).saga_id is None

    assert sides.names_here() == sides.names_there() == ["Ours"]


def test_a_brand_pushed_after_all_were_read_is_not_called_gone(sides: Sides) -> None:
    sides.there.create(name="Acme")
    sides.sync()
    slow = BrandSync(sides.ledger, sides.brand_system, "slow")
    read_early = slow.retrieve(whole=True)
    sides.save("Novum")
    sides.push()

    assert slow.decide(read_early).saga_id is None

    assert [brand.gone_at for brand in sides.here()] == [None, None]


def test_spaces_around_a_name_there_are_not_shown_here_and_stay_there(sides: Sides) -> None:
    brand = sides.there.create(name="  Acme ")
    sides.sync()
    assert sides.names_here() == ["Acme"]

    sides.there.patch(brand["id"], name=" Acme & Sons ")
    sides.sync()

    assert sides.names_here() == ["Acme & Sons"]
    assert (sides.sync(), sides.push()) == ({"rejected": []}, [])
    assert sides.names_there() == [" Acme & Sons "]
