"""The store's brands go to the other side, each once, and nothing comes back as an echo."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_push import BrandPush
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


def test_a_brand_created_here_is_created_there(sides: Sides) -> None:
    sides.save("Acme", description="Anvils", logo_url="https://example.com/acme.svg")

    (pushed,) = sides.push()

    (there,) = sides.there.page()["brands"]
    assert pushed["action"] == "created"
    assert (there["name"], there["description"]) == ("Acme", "Anvils")
    assert sides.here()[0].external_ids == [there["id"]]


def test_a_pushed_brand_does_not_come_back(sides: Sides) -> None:
    sides.sync()
    sides.save("Acme")
    sides.push()

    sides.sync()
    sides.sync()

    assert sides.names_here() == sides.names_there() == ["Acme"]
    assert sides.here()[0].version == 1
    assert sides.push() == []


def test_a_brand_that_came_from_there_is_not_pushed(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.patch(there["id"], name="Acme & Sons")
    sides.sync()

    assert sides.push() == []
    assert sides.names_there() == ["Acme & Sons"]


def test_a_change_here_is_made_there(sides: Sides) -> None:
    sides.there.create(name="Acme", description="Anvils")
    sides.sync()
    (brand,) = sides.here()

    sides.rename(brand.id, "Acme & Sons")
    (pushed,) = sides.push()

    assert pushed["action"] == "updated"
    assert sides.names_there() == ["Acme & Sons"]
    assert sides.sync() == {"rejected": []} or sides.names_here() == ["Acme & Sons"]


def test_several_changes_before_a_push_arrive_as_the_last_one(sides: Sides) -> None:
    brand = sides.save("Acme")
    sides.rename(brand.id, "Acme & Sons")
    sides.rename(brand.id, "Acme & Daughters")

    actions = [pushed["action"] for pushed in sides.push()]

    assert actions == ["created", "unchanged", "unchanged"]
    assert sides.names_there() == ["Acme & Daughters"]


def test_the_same_brand_created_on_both_sides_in_one_minute_is_one_on_both(sides: Sides) -> None:
    sides.sync()
    sides.there.create(name="ACME")
    sides.save("Acme")

    sides.push()
    sides.sync()

    assert len(sides.here()) == 1
    assert len(sides.there.page()["brands"]) == 1


def test_a_brand_changed_on_both_sides_is_as_the_newer_change_says(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    (brand,) = sides.here()

    sides.rename(brand.id, "Acme here")
    sides.there.patch(there["id"], name="Acme there")
    (pushed,) = sides.push()
    assert (pushed["action"], sides.names_there()) == ("lost", ["Acme there"])
    sides.sync()
    assert sides.names_here() == ["Acme there"]

    sides.there.patch(there["id"], name="Acme there again")
    sides.rename(brand.id, "Acme here again")
    (pushed,) = sides.push()
    assert pushed["before"]["facts"][0] == "Acme there again"
    assert sides.names_there() == ["Acme here again"]


@pytest.mark.parametrize("kind", ["unavailable_after", "lost_answer", "late"])
def test_a_creation_without_an_answer_makes_one_brand_in_the_end(sides: Sides, kind: str) -> None:
    sides.save("Acme")
    sides.fault(kind, method="POST", times=20, seconds=0.1)
    with pytest.raises(CommerceError):
        sides.push()
    sides.heal()

    assert sides.recover() == {"compensated": 1}
    assert sides.names_there() == []
    sides.make_due()
    sides.push()

    assert sides.names_there() == ["Acme"]
    assert len(sides.here()[0].external_ids) == 1


def test_a_creation_that_was_undone_leaves_a_brand_that_somebody_changed_there(
    sides: Sides,
) -> None:
    sides.save("Acme")
    flow = BrandPush(sides.ledger, sides.brand_system, "dies")
    saga_id = flow.claim()
    assert saga_id is not None
    sides.fault("unavailable_after", method="POST", times=20)
    with pytest.raises(CommerceError):
        flow.push(saga_id)
    sides.heal()
    (there,) = sides.there.page()["brands"]
    sides.there.patch(there["id"], description="theirs")

    assert sides.recover() == {"compensated": 1}

    assert sides.there.page()["brands"][0]["description"] == "theirs"
    assert sides.rows("SELECT state FROM saga_step") == [("superseded",)]


@pytest.mark.parametrize("kind", ["unavailable_before", "unavailable_after", "lost_answer"])
def test_a_change_without_an_answer_is_put_back_and_made_again(sides: Sides, kind: str) -> None:
    sides.there.create(name="Acme")
    sides.sync()
    sides.rename(sides.here()[0].id, "Acme & Sons")
    sides.fault(kind, method="PATCH", times=20)
    with pytest.raises(CommerceError):
        sides.push()
    sides.heal()

    sides.change("UPDATE saga_step SET settle_at = now()")
    assert sides.recover() == {"compensated": 1}
    assert sides.names_there() == ["Acme"]
    sides.make_due()
    sides.push()

    assert sides.names_there() == ["Acme & Sons"]


def test_a_change_that_was_made_again_stays(sides: Sides) -> None:
    sides.there.create(name="Acme")
    sides.sync()
    sides.rename(sides.here()[0].id, "Acme & Sons")
    sides.fault("unavailable_before", method="PATCH", times=20)
    with pytest.raises(CommerceError):
        sides.push()
    sides.heal()
    sides.change("UPDATE saga_step SET settle_at = now()")
    sides.recover()
    sides.make_due()
    sides.push()

    sides.change("UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL")
    sides.recover()

    assert sides.names_there() == ["Acme & Sons"]


def test_a_change_that_comes_late_has_no_effect(sides: Sides) -> None:
    sides.there.create(name="Acme")
    sides.sync()
    sides.rename(sides.here()[0].id, "Acme & Sons")
    sides.fault("late", method="PATCH", times=20, seconds=0.5)
    with pytest.raises(CommerceError):
        sides.push()
    sides.heal()

    assert sides.recover() == {"compensated": 1}
    time.sleep(0.6)

    assert sides.names_there() == ["Acme"]


def test_a_brand_that_was_seen_gone_is_there_again_after_its_push(sides: Sides) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.delete(there["id"])
    sides.sync()
    assert sides.here()[0].gone_at is not None

    sides.rename(sides.here()[0].id, "Acme & Sons")
    sides.push()
    sides.sync()

    (brand,) = sides.here()
    assert brand.gone_at is None
    assert len(brand.external_ids) == 1


def test_a_brand_gone_from_the_other_side_is_created_there_anew_when_it_changes_here(
    sides: Sides,
) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.delete(there["id"])

    sides.rename(sides.here()[0].id, "Acme & Sons")
    (pushed,) = sides.push()

    assert pushed["action"] == "created"
    assert sides.names_there() == ["Acme & Sons"]
    sides.sync()
    assert sides.names_here() == ["Acme & Sons"]
