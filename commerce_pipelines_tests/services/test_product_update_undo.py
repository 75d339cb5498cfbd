"""A change that fails on one side is in neither, and nobody else's change is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from commerce_pipelines.errors import CommerceError, NotFound, Refused, Unavailable, Unknown
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines.services.product_update_steps import details_of
from commerce_pipelines_tests.services.erp_by_hand import details, erp_variant, failing
from commerce_pipelines_tests.services.update_ground import Ground, big


@pytest.fixture
def ground(ledger: Ledger) -> Ground:
    """The ground."""
    return Ground(ledger)


@pytest.mark.parametrize("error", [Refused("too long"), Unavailable("away"), NotFound("gone")])
def test_what_the_erp_does_not_take_is_undone_here(ground: Ground, error: CommerceError) -> None:
    before, there = ground.catalog.dump(), ground.there
    ground.erp.script("write_product", failing(error))
    ground.ask(**big(ground))

    with pytest.raises(type(error)):
        ground.work()

    assert ground.recover() == {"compensated": 1}
    assert ground.catalog.dump() == before
    assert ground.there == there
    # Who asked is told; it is not tried again behind their back.
    ground.catalog.execute("UPDATE message SET next_try_at = now()")
    assert ground.work() is None


@pytest.mark.parametrize("has_revisions", [True, False])
@pytest.mark.parametrize("lands", ["never", "lost", "late"])
def test_an_answer_that_is_lost_leaves_both_sides_as_before(
    ground: Ground, lands: str, has_revisions: bool
) -> None:
    ground.erp.has_revisions = has_revisions
    before, there = ground.catalog.dump(), ground.there
    ground.ask(**big(ground))
    if lands == "never":
        ground.erp.script("write_product", failing(Unknown("lost")))
    else:
        ground.erp.after_write.append(failing(Unknown("lost")))

    with pytest.raises(Unknown):
        ground.work()

    assert ground.recover() == {"compensated": 1}
    assert ground.catalog.dump() == before
    assert set(ground.there.variants) == set(there.variants)
    assert (ground.there.title, ground.there.description) == (there.title, there.description)


def dies_before_its_request(ground: Ground) -> Callable[[], object]:
    """Has a change die and be undone before the ERP gets it; returns what sends it after all.

    The ERP has no revisions and no keys, so what comes late is applied.
    """
    ground.erp.has_revisions = False
    there = ground.there
    ground.ask(**big(ground))
    ground.erp.script("write_product", failing(RuntimeError("killed")))
    with pytest.raises(RuntimeError):
        ground.work()
    assert ground.recover() == {"compensated": 1}
    assert ground.there == there
    (plan,) = ground.catalog.values("SELECT plan FROM saga_step WHERE state = 'absent'")
    ground.catalog.execute("UPDATE message SET next_try_at = now()")
    return lambda: ground.erp.put("P1", details_of(plan["details"]))


def test_the_audit_takes_back_a_change_that_came_late(ground: Ground) -> None:
    there = ground.there
    send = dies_before_its_request(ground)
    send()

    assert ground.audit() == {"audited_undone": 1}
    assert (ground.there.title, ground.there.description) == (there.title, there.description)
    assert set(ground.there.variants) == set(there.variants)


def test_the_audit_leaves_a_change_that_was_made_again(ground: Ground) -> None:
    dies_before_its_request(ground)
    assert ground.work()
    there = ground.there

    assert ground.audit() == {"audited_absent": 1}
    assert ground.there == there


def test_the_audit_puts_back_what_was_made_before_a_change_came_late(ground: Ground) -> None:
    send = dies_before_its_request(ground)
    assert ground.work()
    ground.ask(title="Bowl")
    assert ground.work()
    there = ground.there
    send()
    assert ground.there.title == "Mug, large"

    assert ground.audit() == {"audited_undone": 1}
    assert (ground.there.title, ground.there.description) == (there.title, there.description)
    assert set(ground.there.variants) == set(there.variants)


def test_the_audit_waits_while_a_product_is_being_changed(ground: Ground) -> None:
    dies_before_its_request(ground)
    audited: list[object] = []
    ground.erp.after_write.append(lambda: audited.append(ground.audit()))

    assert ground.work()

    assert audited == [{"audited_absent": 1}]
    assert ground.there.title == "Mug, large"


def after_effect(ground: Ground, happen: Callable[[], object]) -> None:
    """Has everything done but the end, something happen, and then the whole undone."""
    ground.ask(**big(ground))
    flow = ProductUpdate(ground.ledger, ground.erp, "dies")
    saga_id = flow.claim()
    assert saga_id
    ground.catalog.execute("ALTER TABLE message ADD CONSTRAINT dies CHECK (state <> 'done')")
    with pytest.raises(Exception, match="dies"):
        flow.update(saga_id)
    ground.catalog.execute("ALTER TABLE message DROP CONSTRAINT dies")
    happen()
    assert ground.recover() == {"compensated": 1}


def test_an_undo_puts_both_sides_back_and_removes_what_was_added(ground: Ground) -> None:
    before, there = ground.catalog.dump(), ground.there

    after_effect(ground, lambda: None)

    assert ground.catalog.dump() == before
    assert ground.there.title == there.title
    assert set(ground.there.variants) == set(there.variants)
    ground.catalog.execute("UPDATE message SET next_try_at = now()")
    assert ground.work()


def test_an_undo_leaves_our_field_as_somebody_has_changed_it_in_the_erp(ground: Ground) -> None:
    def change() -> None:
        ground.erp.put("P1", replace(ground.there, title="Theirs"))

    there = ground.there
    after_effect(ground, change)

    assert ground.there.title == "Theirs"
    assert ground.there.description == there.description
    assert set(ground.there.variants) == set(there.variants)


def test_an_undo_keeps_what_somebody_has_changed_beside_it_in_the_erp(ground: Ground) -> None:
    def change() -> None:
        small, added = ground.there.variants
        variants = small, replace(added, title="Ours, better"), erp_variant("1-NEW")
        ground.erp.put("P1", replace(ground.there, variants=variants))

    after_effect(ground, change)

    assert {each.title for each in ground.there.variants} == {
        "1-S",
        "1-M",
        "1-NEW",
        "Ours, better",
    }


def test_a_product_that_is_all_theirs_by_now_is_superseded(ground: Ground) -> None:
    def change() -> None:
        ground.erp.put("P1", details("Theirs", erp_variant("9-X"), description="theirs"))

    after_effect(ground, change)

    assert ground.there.title == "Theirs"
    assert "sku-9-X" in {each.sku for each in ground.there.variants}
