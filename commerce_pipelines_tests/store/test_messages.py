"""The inbox: each delivery once, in order, and none lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from commerce_pipelines.store import messages
from commerce_pipelines.store.messages import ALONE_FROM_TRIES, MOST_TRIES, Part, Receipt
from commerce_pipelines_tests.store.inbox import TOPIC, Inbox, receive


@pytest.fixture
def inbox(engine: Engine) -> Inbox:
    """An empty inbox."""
    return Inbox(engine)


def test_a_delivery_is_stored_once_however_often_it_comes(inbox: Inbox) -> None:
    first, again = inbox.receive("w1", "[1]"), inbox.receive("w1", "[1]")

    assert first == Receipt(first.message_ids, repeated=False)
    assert again == Receipt(first.message_ids, repeated=True)
    assert inbox.states() == ["new"]


def test_a_delivery_a_hundred_times_at_once_is_stored_once(inbox: Inbox) -> None:
    start = threading.Barrier(10)

    def deliver(_: int) -> list[Receipt]:
        start.wait(60)
        return [inbox.receive("w1", "[1]", "[2]") for _ in range(10)]

    with ThreadPoolExecutor(10) as pool:
        receipts = [receipt for each in pool.map(deliver, range(10)) for receipt in each]

    assert sum(not receipt.repeated for receipt in receipts) == 1
    assert len({tuple(receipt.message_ids) for receipt in receipts}) == 1
    assert inbox.states() == ["new", "new"]


def test_the_same_delivery_with_another_body_is_kept_and_told(inbox: Inbox) -> None:
    inbox.receive("w1", "[1]")

    differing = [inbox.receive("w1", "[2]") for _ in range(2)]

    assert [receipt.differs for receipt in differing] == [True, True]
    assert inbox.values("SELECT convert_from(body, 'UTF8') FROM message") == ["[1]"]
    assert inbox.values("SELECT convert_from(body, 'UTF8') FROM message_conflict") == ["[2]"]


def test_the_same_id_from_another_sender_is_another_delivery(inbox: Inbox) -> None:
    inbox.receive("w1")
    with inbox.engine.begin() as connection:
        other = messages.receive(connection, "erp", "w1", TOPIC, [Part(b"[]")])

    assert not other.repeated


def test_a_large_delivery_is_several_messages_in_order(inbox: Inbox) -> None:
    receipt = inbox.receive("w1", "[1]", "[2]", "[3]")

    assert receipt.message_ids == sorted(receipt.message_ids)
    assert inbox.values("SELECT part FROM message ORDER BY id") == [0, 1, 2]
    assert inbox.values("SELECT parts FROM message") == [3, 3, 3]


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


def test_a_message_is_free_again_once_its_saga_is_undone(inbox: Inbox) -> None:
    (message,) = inbox.receive("w1").message_ids
    inbox.claim()
    inbox.fail(1)
    inbox.rest()
    assert inbox.claim() == []
    inbox.make_due()

    assert inbox.claim() == [message]
    assert inbox.values("SELECT last_error FROM message") == ["Sanity is away"]


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


def test_a_message_that_failed_twice_comes_alone(inbox: Inbox) -> None:
    bad = inbox.receive("bad").message_ids[0]
    for number in range(1, ALONE_FROM_TRIES + 1):
        assert inbox.claim() == [bad]
        inbox.fail(number)
        inbox.make_due()
    good = inbox.receive("good").message_ids[0]

    assert inbox.claim() == [bad]
    assert inbox.claim() == [good]


def test_a_message_that_failed_twice_does_not_join_an_older_ones_page(inbox: Inbox) -> None:
    old, bad = (inbox.receive(name).message_ids[0] for name in ("old", "bad"))
    inbox.change(f"UPDATE message SET tries = {ALONE_FROM_TRIES} WHERE webhook_id = 'bad'")

    assert inbox.claim() == [old]
    assert inbox.claim() == [bad]


def test_a_message_is_dead_after_its_last_try(inbox: Inbox) -> None:
    inbox.receive("w1")
    for number in range(1, MOST_TRIES + 1):
        assert len(inbox.claim()) == 1
        inbox.fail(number, f"failure {number}")
        inbox.make_due()

    assert inbox.states() == ["dead"]
    assert inbox.values("SELECT last_error FROM message") == [f"failure {MOST_TRIES}"]
    assert inbox.claim() == []


def test_a_message_that_kills_its_worker_each_time_is_dead_after_its_last_try(
    inbox: Inbox,
) -> None:
    inbox.receive("w1")
    for number in range(1, MOST_TRIES + 1):
        assert len(inbox.claim()) == 1
        inbox.compensate(number)
        inbox.make_due()

    assert inbox.claim() == []
    assert inbox.states() == ["dead"]
    assert inbox.values("SELECT last_error FROM message") == ["its run was killed each time"]


def test_a_dead_message_does_not_hold_up_later_ones(inbox: Inbox) -> None:
    dead = inbox.receive("w1", aggregate="p1").message_ids[0]
    later = inbox.receive("w2", aggregate="p1").message_ids[0]
    with inbox.engine.begin() as connection:
        messages.bury(connection, dead, "is no list")

    assert inbox.claim() == [later]


def test_a_message_that_is_committed_late_is_not_lost(inbox: Inbox) -> None:
    with inbox.engine.begin() as slow:
        late = receive(slow, "late").message_ids[0]
        early = inbox.receive("early").message_ids[0]
        assert late < early
        assert inbox.claim() == [early]

    assert inbox.claim() == [late]


def test_the_delay_grows_with_the_tries_up_to_an_hour(inbox: Inbox) -> None:
    inbox.receive("w1")
    inbox.change("UPDATE message SET tries = 9")
    inbox.claim()

    (delay,) = inbox.values("SELECT extract(epoch FROM next_try_at - now())::float8 FROM message")
    assert isinstance(delay, float)
    assert -60 < delay <= messages.LONGEST_DELAY_SECONDS


def test_what_is_due_is_counted_in_pages(inbox: Inbox) -> None:
    with inbox.engine.connect() as connection:
        assert messages.due(connection, TOPIC) is None
    ids = [inbox.receive(f"w{n}", items=60).message_ids[0] for n in range(3)]
    inbox.change(f"UPDATE message SET tries = {ALONE_FROM_TRIES} WHERE id = {ids[0]}")

    with inbox.engine.connect() as connection:
        due = messages.due(connection, TOPIC, most_items=100)

    assert due == messages.Due(oldest_id=ids[0], oldest_tries=ALONE_FROM_TRIES, pages=3)


def test_outcomes_are_kept_until_the_next_try(inbox: Inbox) -> None:
    (message,) = inbox.receive("w1").message_ids
    inbox.claim()
    with inbox.engine.begin() as connection:
        messages.note_outcomes(connection, {message: {"created": 1}})
        assert messages.outcomes_of(connection, "saga-1") == {message: {"created": 1}}

    inbox.fail(1)

    assert inbox.values("SELECT outcome FROM message") == [None]
