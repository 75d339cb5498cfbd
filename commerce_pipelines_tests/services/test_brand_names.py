"""Names there that cannot be taken here: told, in nobody's way, taken once they are mended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.errors import Refused
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import BrandSync
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

UNUSABLE = pytest.mark.parametrize(
    ("name", "reason"),
    [("x" * 300, "name is longer than 255 characters"), ("   ", "name is blank")],
    ids=["300 characters", "only spaces"],
)


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


@UNUSABLE
def test_a_new_brand_is_rejected_with_the_reason_and_stops_no_other(
    sides: Sides, name: str, reason: str
) -> None:
    before, unusable, after = (sides.there.create(name=each) for each in ("Acme", name, "Zenith"))

    done = sides.sync()

    (rejected,) = done["rejected"]
    assert (rejected["external_id"], rejected["reason"]) == (unusable["id"], reason)
    assert rejected["excerpt"].startswith('{"id": "' + unusable["id"])
    assert done["created"] == 2
    assert [brand.external_ids for brand in sides.here()] == [[before["id"]], [after["id"]]]


@UNUSABLE
def test_a_brand_is_taken_once_it_is_renamed(sides: Sides, name: str, reason: str) -> None:
    del reason
    unusable = sides.there.create(name=name)
    sides.there.create(name="Acme")
    sides.sync()

    sides.there.patch(unusable["id"], name="Zenith")
    done = sides.sync()

    assert (done["created"], done["rejected"]) == (1, [])
    assert sides.names_here() == ["Acme", "Zenith"]


@UNUSABLE
@pytest.mark.parametrize("whole", [False, True], ids=["changes", "whole"])
def test_a_known_brand_keeps_its_name_here_and_is_not_gone(
    sides: Sides, name: str, reason: str, whole: bool
) -> None:
    there = sides.there.create(name="Acme", description="Anvils")
    sides.sync()

    sides.there.patch(there["id"], name=name, description="Rockets")
    sides.there.create(name="Zenith")
    done = sides.sync(whole=whole)

    assert [each["reason"] for each in done["rejected"]] == [reason]
    acme, zenith = sides.here()
    assert (acme.name, acme.description, acme.gone_at) == ("Acme", "Anvils", None)
    assert zenith.name == "Zenith"

    sides.there.patch(there["id"], name="Acme & Sons")
    sides.sync()
    assert [(one.name, one.description) for one in sides.here()] == [
        ("Acme & Sons", "Rockets"),
        ("Zenith", None),
    ]


@UNUSABLE
def test_an_unusable_brand_that_is_deleted_there_is_gone(
    sides: Sides, name: str, reason: str
) -> None:
    del reason
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.patch(there["id"], name=name)
    sides.sync()

    sides.there.delete(there["id"])
    done = sides.sync()

    assert done["gone"] == 1
    assert sides.here()[0].gone_at is not None


@UNUSABLE
def test_alone_it_asks_for_no_run_each_minute(sides: Sides, name: str, reason: str) -> None:
    sides.there.create(name="Acme")
    sides.sync()
    sides.there.create(name=name)
    sync = BrandSync(sides.ledger, sides.brand_system, "tick")

    for _ in range(2):
        retrieved = sync.retrieve()
        assert retrieved.changes_nothing
        assert [each["reason"] for each in retrieved.rejected] == [reason]


@UNUSABLE
def test_a_change_here_waits_with_the_reason_until_it_is_renamed_there(
    sides: Sides, name: str, reason: str
) -> None:
    there = sides.there.create(name="Acme")
    sides.sync()
    sides.there.patch(there["id"], name=name)
    sides.rename(sides.here()[0].id, "Acme & Sons")

    with pytest.raises(Refused, match=reason):
        sides.push()
    ((state, error),) = sides.rows("SELECT state, last_error FROM message")
    assert (state, reason in error) == ("claimed", True)

    sides.there.patch(there["id"], name="Acme Inc.")
    sides.rename(sides.here()[0].id, "Acme & Daughters")
    sides.recover()
    sides.make_due()
    sides.push()
    assert sides.names_there() == sides.names_here() == ["Acme & Daughters"]
