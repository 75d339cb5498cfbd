"""Two receivers at once, and the one with the lower id commits last: nothing is lost."""

from __future__ import annotations

import pytest

from commerce_pipelines.store.messages import Part, receive
from commerce_pipelines_tests.factories import TOPIC, deliver
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop

EARLY = {"external_id": "e1", "title": "Early"}
LATE = {"external_id": "e1", "title": "Late"}


def test_a_message_that_becomes_visible_late_is_worked_on_and_the_newer_word_stays(
    shop: Shop, cms: Cms
) -> None:
    with shop.engine.connect() as slow, slow.begin():
        (first,) = deliver(slow, "slow", EARLY).message_ids
        second = shop.receive(LATE)
        assert first < second
        assert len(shop.run()) == 1
    assert shop.values("SELECT state FROM message WHERE id = :id", id=first) == ["new"]

    assert len(shop.run()) == 1

    assert shop.values("SELECT DISTINCT state FROM message") == ["done"]
    assert shop.outcome(first)["unchanged"] == 1
    assert shop.titles() == cms.titles() == ["Late"]


def test_another_product_of_a_late_message_is_imported(shop: Shop, cms: Cms) -> None:
    with shop.engine.connect() as slow, slow.begin():
        deliver(slow, "slow", EARLY, {"external_id": "e2", "title": "Alone"})
        shop.receive(LATE)
        shop.run()

    shop.run()

    assert shop.titles() == cms.titles() == ["Alone", "Late"]


@pytest.mark.parametrize("held", ["resting", "in hands"])
def test_later_messages_about_a_product_wait_for_the_earlier_one(shop: Shop, held: str) -> None:
    first, second = (_about_one(shop, f"w{n}", title) for n, title in enumerate(("One", "Two")))
    flow = shop.flow()
    shop.change("UPDATE message SET next_try_at = now() + interval '1 h' WHERE id = :id", id=second)
    opened = flow.open_page()
    assert opened is not None
    assert opened.message_ids == [first]
    shop.change("UPDATE message SET next_try_at = now() WHERE id = :id", id=second)

    if held == "resting":
        with shop.engine.begin() as connection:
            claim = shop.ledger.join(opened.saga_id, "run")
            shop.ledger.abort(connection, claim, "it failed")
        shop.recover()
        shop.change(
            "UPDATE message SET next_try_at = now() + interval '1 h' WHERE id = :id", id=first
        )
    assert flow.open_page() is None

    shop.make_due()
    shop.recover()
    shop.make_due()
    assert shop.run()
    assert shop.titles() == ["Two"]


def _about_one(shop: Shop, webhook_id: str, title: str) -> int:
    """Receives a message that is about one product and says so."""
    body = f'[{{"external_id": "e1", "title": "{title}"}}]'.encode()
    with shop.engine.begin() as connection:
        part = Part(body, aggregate="product:e1")
        return receive(connection, "pim", webhook_id, TOPIC, [part]).message_ids[0]
