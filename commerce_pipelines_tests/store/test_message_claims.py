"""What comes next from the inbox: in order, in pages, none twice, none lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from commerce_pipelines.store import messages
from commerce_pipelines.store.message_claims import Due, count_pages, oldest_due
from commerce_pipelines_tests.store.inbox import TOPIC, Inbox, receive


def test_messages_are_claimed_in_order_until_the_page_is_full(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", items=4).message_ids[0] for n in range(5)]

    assert inbox.claim(most_items=10) == ids[:3]
    assert inbox.claim(most_items=10) == ids[3:]
    assert inbox.claim() == []


def test_a_message_larger_than_a_page_is_claimed_alone(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", items=500).message_ids[0] for n in range(2)]

    assert inbox.claim(most_items=100) == ids[:1]


def test_another_topic_is_left_alone(inbox: Inbox) -> None:
    inbox.receive("w1")

    assert inbox.claim(topic="orders") == []


@pytest.mark.parametrize("status", ["running", "aborting", "parked"])
def test_a_message_in_the_hands_of_a_live_saga_is_not_claimed(inbox: Inbox, status: str) -> None:
    inbox.receive("w1")
    inbox.claim()
    if status != "running":
        inbox.set_saga(1, status)
    inbox.make_due()

    assert inbox.claim() == []


def test_a_message_of_a_saga_that_succeeded_is_done(inbox: Inbox) -> None:
    inbox.receive("w1")
    inbox.claim()
    with inbox.engine.begin() as connection:
        messages.finish(connection, "saga-1")
    inbox.set_saga(1, "succeeded")
    inbox.make_due()

    assert inbox.states() == ["done"]
    assert inbox.claim() == []


def test_two_claims_at_once_never_share_a_message(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}").message_ids[0] for n in range(60)]
    start = threading.Barrier(4)

    def claim_all(_: int) -> list[int]:
        start.wait(60)
        return [message for _ in range(20) for message in inbox.claim(most_items=5)]

    with ThreadPoolExecutor(4) as pool:
        claimed = [message for each in pool.map(claim_all, range(4)) for message in each]

    assert sorted(claimed) == ids


def test_messages_about_one_thing_keep_their_order(inbox: Inbox) -> None:
    first, second = (inbox.receive(f"w{n}", aggregate="p1").message_ids[0] for n in range(2))
    other = inbox.receive("w9", aggregate="p2").message_ids[0]

    assert inbox.claim(most_items=1) == [first]
    assert inbox.claim() == [other]
    inbox.fail(1)
    inbox.rest()
    assert inbox.claim() == []
    inbox.make_due()
    assert inbox.claim() == [first, second]


@pytest.mark.parametrize("held", ["rests", "is in hands"])
def test_nothing_is_due_about_a_thing_whose_earlier_message(inbox: Inbox, held: str) -> None:
    first = inbox.receive("w1", aggregate="p1").message_ids[0]
    inbox.receive("w2", aggregate="p1")
    inbox.change("UPDATE message SET tries = 1")
    assert inbox.claim(most_items=1) == [first]
    inbox.change("UPDATE message SET tries = 1")
    inbox.make_due()
    if held == "rests":
        inbox.compensate(1)
        inbox.change(
            "UPDATE message SET next_try_at = now() + interval '1 hour' WHERE id = :id", id=first
        )

    with inbox.engine.connect() as connection:
        assert oldest_due(connection, TOPIC) is None
    assert inbox.claim() == []


def test_a_page_may_hold_several_messages_about_one_thing(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", aggregate="p1").message_ids[0] for n in range(3)]

    assert inbox.claim() == ids


def test_a_message_about_something_else_does_not_wait(inbox: Inbox) -> None:
    inbox.receive("w1", aggregate="p1")
    inbox.claim()
    held = inbox.receive("w2", aggregate="p1").message_ids[0]
    free = inbox.receive("w3").message_ids[0]

    assert inbox.claim() == [free]
    inbox.compensate(1)
    inbox.make_due()
    assert held in inbox.claim()


def test_a_page_is_bounded_in_bytes(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", "x" * 1_000).message_ids[0] for n in range(4)]
    with inbox.engine.connect() as connection:
        assert count_pages(connection, TOPIC, most_items=100, most_bytes=2_500) == 2

    assert inbox.claim(most_bytes=2_500) == ids[:3]
    assert inbox.claim(most_bytes=2_500) == ids[3:]


def test_lists_without_any_product_count_as_one_each(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", items=0).message_ids[0] for n in range(3)]

    assert inbox.claim(most_items=2) == ids[:2]


def test_a_message_that_is_committed_late_is_not_lost(inbox: Inbox) -> None:
    with inbox.engine.begin() as slow:
        late = receive(slow, "late").message_ids[0]
        early = inbox.receive("early").message_ids[0]
        assert late < early
        assert inbox.claim() == [early]

    assert inbox.claim() == [late]


def test_the_oldest_that_may_be_claimed_is_known(inbox: Inbox) -> None:
    with inbox.engine.connect() as connection:
        assert oldest_due(connection, TOPIC) is None
    resting, first, _ = (inbox.receive(f"w{n}").message_ids[0] for n in range(3))
    inbox.change(
        "UPDATE message SET next_try_at = now() + interval '1 hour' WHERE id = :id", id=resting
    )
    inbox.change("UPDATE message SET tries = 2 WHERE id = :id", id=first)

    with inbox.engine.connect() as connection:
        assert oldest_due(connection, TOPIC) == Due(first, tries=2)


def test_what_is_due_is_counted_in_pages(inbox: Inbox) -> None:
    with inbox.engine.connect() as connection:
        assert count_pages(connection, TOPIC, most_items=100) == 0
    for number in range(5):
        inbox.receive(f"w{number}", items=60)
    inbox.change("UPDATE message SET tries = 3 WHERE webhook_id IN ('w0', 'w1')")

    with inbox.engine.connect() as connection:
        # Two that come alone, and 180 things.
        assert count_pages(connection, TOPIC, most_items=100) == 2 + 2
