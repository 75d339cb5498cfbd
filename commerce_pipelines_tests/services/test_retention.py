"""What is over goes when it is old enough; what is not stays, however old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest

from commerce_pipelines.connectors.sanity import seal_id
from commerce_pipelines.errors import CommerceError, Conflict
from commerce_pipelines.services.operations import Desk
from commerce_pipelines.services.retention import Ages, Retention
from commerce_pipelines.store.message_operations import replay
from commerce_pipelines_tests.factories import product
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop

AGES = Ages(bodies_days=30, messages_days=90, steps_days=30, sagas_days=365)

# Everything that retention deletes, with what it may not delete beside it.
CONTENTS = {
    "messages": "SELECT webhook_id, part, state, body IS NOT NULL FROM message ORDER BY id",
    "conflicts": "SELECT body IS NOT NULL FROM message_conflict ORDER BY id",
    "sagas": "SELECT status FROM saga ORDER BY created_at, saga_id",
    "steps": """
        SELECT name, state, plan = '{}', coalesce(result = '{}', true), undo_result IS NULL
        FROM saga_step ORDER BY saga_id, seq""",
    "events": "SELECT count(*) FROM saga_event",
    "revisions": "SELECT product_id FROM product_revision ORDER BY product_id, at",
    "products": "SELECT title, version FROM product ORDER BY title",
}

UNFINISHED = (
    "SELECT id, state, body FROM message WHERE state <> 'done' ORDER BY id",
    """SELECT saga_id, seq, saga_step.state, plan, result, undo_result FROM saga_step
       JOIN saga USING (saga_id) WHERE saga.finished_at IS NULL ORDER BY saga_id, seq""",
    """SELECT product_id, before FROM product_revision
       JOIN saga USING (saga_id) WHERE saga.finished_at IS NULL ORDER BY product_id""",
    """SELECT saga_event.id FROM saga_event
       JOIN saga USING (saga_id) WHERE saga.finished_at IS NULL ORDER BY id""",
)


@pytest.fixture
def finished(shop: Shop) -> Shop:
    """A shop in which two imports of one product have come to their end."""
    shop.take(product(1, title="Old"))
    shop.take(product(1, title="New"))
    return shop


def test_nothing_young_is_deleted(finished: Shop) -> None:
    before = _contents(finished)
    _pass(finished, 29)

    assert _run(finished) == Counter()
    assert _contents(finished) == before


def test_bodies_plans_and_before_images_go_after_thirty_days(finished: Shop) -> None:
    products = finished.rows(CONTENTS["products"])
    events = finished.rows(CONTENTS["events"])
    _pass(finished, 31)

    assert _run(finished) == {"bodies": 2, "steps": 4, "revisions": 2}
    assert finished.values("SELECT DISTINCT body FROM message") == [None]
    steps = finished.rows("SELECT DISTINCT state, plan, result, undo_result FROM saga_step")
    assert steps == [("done", {}, {}, None)]
    assert finished.values("SELECT count(*) FROM product_revision") == [0]
    assert finished.rows(CONTENTS["products"]) == products
    assert finished.rows(CONTENTS["events"]) == events


def test_messages_go_after_ninety_days_and_sagas_after_a_year(finished: Shop) -> None:
    _pass(finished, 91)
    assert _run(finished)["messages"] == 2
    assert finished.values("SELECT count(*) FROM saga") == [2]
    (events,) = finished.values("SELECT count(*) FROM saga_event")
    assert events > 0

    _pass(finished, 275)

    assert _run(finished) == {"sagas": 2, "events": events}
    for table in ("saga", "saga_step", "saga_event", "message"):
        assert finished.values(f"SELECT count(*) FROM {table}") == [0]
    assert finished.titles() == ["New"]


def test_a_delivery_is_known_as_long_as_its_message_is_kept(finished: Shop) -> None:
    finished.change("UPDATE message SET webhook_id = 'known' WHERE id = 1")
    _pass(finished, 89)
    _run(finished)
    assert finished.receive(product(1), webhook_id="known") == 1

    _pass(finished, 2)
    _run(finished)

    assert finished.receive(product(1), webhook_id="known") > 2


def test_what_is_parked_dead_or_unfinished_is_kept_whole(shop: Shop, cms: Cms) -> None:
    shop.take(product(1))
    _park(shop, cms)
    dead = shop.receive(product(3))
    shop.change("UPDATE message SET state = 'dead', finished_at = now() WHERE id = :id", id=dead)
    shop.receive(product(4))
    opened = shop.flow().open_page()
    assert opened is not None
    shop.flow().store_page(opened)
    shop.receive(product(5))
    kept = [shop.rows(query) for query in UNFINISHED]
    assert all(kept)
    _pass(shop, 4000)

    deleted = _run(shop)

    assert (deleted["messages"], deleted["sagas"]) == (1, 1)
    assert [shop.rows(query) for query in UNFINISHED] == kept
    assert sorted(shop.values("SELECT status FROM saga")) == ["parked", "running"]


def test_a_large_delivery_goes_only_as_a_whole(shop: Shop) -> None:
    for part, products in enumerate(([product(1)], [product(2)])):
        shop.receive(*products, webhook_id=f"w{part}")
    shop.run()
    shop.change("UPDATE message SET webhook_id = 'large', part = id - 1, parts = 2")
    _pass(shop, 91)
    shop.change("UPDATE message SET finished_at = now() - interval '80 days' WHERE part = 1")
    assert _run(shop)["messages"] == 0

    shop.change("UPDATE message SET finished_at = now() - interval '91 days' WHERE part = 1")

    assert _run(shop)["messages"] == 2


def test_a_second_body_of_a_delivery_goes_with_the_first(shop: Shop) -> None:
    shop.receive(product(1), webhook_id="w")
    shop.receive(product(2), webhook_id="w")
    shop.run()
    assert shop.rows(CONTENTS["conflicts"]) == [(True,)]
    _pass(shop, 31)

    _run(shop)

    assert shop.rows(CONTENTS["conflicts"]) == [(False,)]


def test_a_message_whose_body_is_gone_is_not_replayed(finished: Shop) -> None:
    _pass(finished, 31)
    _run(finished)

    with finished.engine.begin() as connection, pytest.raises(Conflict, match="no longer kept"):
        replay(connection, [1], "nora", "again")


def test_seals_are_deleted_with_the_plans_of_their_steps(shop: Shop, cms: Cms) -> None:
    seals = _seal_one(shop, cms)
    _pass(shop, 29)
    _run(shop)
    assert shop.sanity.fetch_documents(seals).keys() == set(seals)
    _pass(shop, 2)

    deleted = _run(shop)

    assert deleted["seals"] == 1
    assert shop.sanity.fetch_documents(seals) == {}
    assert shop.rows("SELECT DISTINCT plan, undo_result FROM saga_step") == [({}, None)]


@pytest.mark.parametrize("fault", ["unavailable_before", "unavailable_after"])
def test_without_sanity_only_the_seals_wait_for_the_next_day(
    shop: Shop, cms: Cms, fault: str
) -> None:
    seals = _seal_one(shop, cms)
    _pass(shop, 400)
    cms.fault(fault, times=None)

    with pytest.raises(CommerceError):
        _run(shop)
    assert shop.values("SELECT body FROM message WHERE state = 'done'") == []
    (saga,) = shop.rows("SELECT plan <> '{}' FROM saga_step WHERE state = 'absent'")
    assert saga == (True,)

    cms.heal()
    # The saga goes the day after the seal of its step.
    assert _run(shop)["seals"] == 1
    assert _run(shop)["sagas"] == 1
    assert shop.sanity.fetch_documents(seals) == {}
    assert shop.values("SELECT count(*) FROM saga") == [0]


def test_a_step_that_is_looked_for_once_more_keeps_its_plan(shop: Shop, cms: Cms) -> None:
    _seal_one(shop, cms)
    shop.change("UPDATE saga_step SET audit_at = now() WHERE state = 'absent'")
    _pass(shop, 400)

    _run(shop)

    assert shop.values("SELECT plan <> '{}' FROM saga_step WHERE state = 'absent'") == [True]


def test_it_may_end_after_any_page_and_be_started_again(shop: Shop, cms: Cms) -> None:
    for number in range(3):
        shop.take(product(number))
    _seal_one(shop, cms)
    shop.make_due()
    shop.receive(product(9))
    _pass(shop, 400)
    deleted: Counter[str] = Counter()

    for ended_after in range(40):
        for page in islice(_pages(shop, a_page=1), ended_after):
            deleted.update(page)

    assert shop.values("SELECT count(*) FROM saga") == [0]
    assert sorted(shop.values("SELECT state FROM message")) == ["claimed", "new"]
    assert (deleted["bodies"], deleted["messages"], deleted["sagas"]) == (3, 3, 4)
    assert (deleted["seals"], deleted["revisions"]) == (1, 4)


def test_a_saga_is_shown_also_when_its_plans_are_gone(finished: Shop) -> None:
    _pass(finished, 31)
    _run(finished)
    (saga_id, *_) = finished.values("SELECT saga_id FROM saga")

    shown = Desk(finished.engine, finished.sanity).describe_saga(saga_id)

    assert shown["status"] == "succeeded"


def _run(shop: Shop) -> Counter[str]:
    """Runs to the end; returns what was deleted, without what was not."""
    deleted: Counter[str] = Counter()
    for page in _pages(shop):
        deleted.update(page)
    return +deleted


def _pages(shop: Shop, a_page: int = 1_000) -> Iterator[dict[str, int]]:
    return Retention(shop.engine, AGES, lambda: shop.sanity, a_page, a_page).pages()


def _pass(shop: Shop, days: int) -> None:
    """Lets days pass: everything that has a moment becomes older."""
    for table, columns in {
        "message": ["received_at", "finished_at"],
        "message_conflict": ["received_at"],
        "saga": ["created_at", "finished_at"],
        "saga_step": ["updated_at"],
        "product_revision": ["at"],
    }.items():
        older = ", ".join(f"{one} = {one} - make_interval(days => :days)" for one in columns)
        shop.change(f"UPDATE {table} SET {older}", days=days)


def _contents(shop: Shop) -> dict[str, list[tuple[Any, ...]]]:
    return {name: shop.rows(query) for name, query in CONTENTS.items()}


def _seal_one(shop: Shop, cms: Cms) -> list[str]:
    """Lets an import be undone whose documents never came; returns the seals of its steps."""
    cms.fault("unavailable_before", times=None)
    shop.receive(product(8))
    with suppress(CommerceError):
        shop.run()
    cms.heal()
    shop.make_due()
    assert shop.recover() == {"compensated": 1}
    keys = shop.values("SELECT idem_key FROM saga_step WHERE state = 'absent'")
    assert len(keys) == 1
    return [seal_id(key) for key in keys]


def _park(shop: Shop, cms: Cms) -> None:
    """Lets an import be parked: its undo may not delete what it created."""
    cms.fault("unavailable_after", times=None)
    shop.receive(product(2))
    with suppress(CommerceError):
        shop.run()
    cms.heal()
    cms.fault("refuse_delete", times=None)
    shop.make_due()
    assert shop.recover() == {"parked": 1}
    cms.heal()
