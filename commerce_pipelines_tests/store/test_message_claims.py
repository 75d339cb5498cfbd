"""What comes next from the inbox: in order, none twice, none lost, the bad ones apart."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from commerce_pipelines.store import messages
from commerce_pipelines.store.message_claims import Due, count_pages, oldest_due
from commerce_pipelines.store.messages import MOST_TRIES
from commerce_pipelines_tests.store.inbox import TOPIC, Inbox, receive


@pytest.fixture
def inbox(engine: Engine) -> Inbox:
    """An empty inbox."""
    return Inbox(engine)


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


def test_a_message_comes_in_a_smaller_page_after_each_try(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}").message_ids[0] for n in range(40)]

    sizes = []
    for number in range(1, 4):
        claimed = inbox.claim(most_items=300)
        sizes.append(len(claimed))
        assert claimed == ids[: len(claimed)]
        inbox.fail(number)
        inbox.make_due()

    assert sizes == [40, 300 // 16, 1]


def test_fresh_messages_wait_behind_a_bad_one_only_as_long_as_its_page(inbox: Inbox) -> None:
    bad = inbox.receive("bad").message_ids[0]
    inbox.change("UPDATE message SET tries = 3")
    good = [inbox.receive(f"good{n}").message_ids[0] for n in range(3)]

    assert inbox.claim() == [bad]
    assert inbox.claim() == good


def test_a_message_that_failed_does_not_join_an_older_ones_page(inbox: Inbox) -> None:
    old, bad = (inbox.receive(name).message_ids[0] for name in ("old", "bad"))
    inbox.change("UPDATE message SET tries = 1 WHERE webhook_id = 'bad'")

    assert inbox.claim() == [old]
    assert inbox.claim() == [bad]


def test_a_later_message_about_one_thing_does_not_pass_a_bad_one(inbox: Inbox) -> None:
    old = inbox.receive("old").message_ids[0]
    bad, later = (inbox.receive(f"w{n}", aggregate="p1").message_ids[0] for n in range(2))
    inbox.change("UPDATE message SET tries = 1 WHERE webhook_id = 'w0'")

    assert inbox.claim() == [old]
    assert inbox.claim() == [bad, later]


def test_a_page_is_bounded_in_bytes(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", "x" * 1_000).message_ids[0] for n in range(4)]
    with inbox.engine.connect() as connection:
        assert count_pages(connection, TOPIC, most_items=100, most_bytes=2_500) == 2

    assert inbox.claim(most_bytes=2_500) == ids[:3]
    assert inbox.claim(most_bytes=2_500) == ids[3:]


def test_lists_without_any_product_count_as_one_each(inbox: Inbox) -> None:
    ids = [inbox.receive(f"w{n}", items=0).message_ids[0] for n in range(3)]

    assert inbox.claim(most_items=2) == ids[:2]


def test_a_message_is_dead_after_its_last_try(inbox: Inbox) -> None:
    inbox.receive("w1")
    for number in range(1, MOST_TRIES + 1):
        assert len(inbox.claim()) == 1
        inbox.fail(number, f"failure {number}")
        inbox.make_due()

    assert inbox.states() == ["dead"]
    assert inbox.values("SELECT last_error FROM message") == [f"failure {MOST_TRIES}"]
    assert inbox.claim() == []


@pytest.mark.parametrize(("age", "state"), [("23 hours", "claimed"), ("1 day", "dead")])
def test_a_system_that_is_away_makes_no_message_of_the_last_day_dead(
    inbox: Inbox, age: str, state: str
) -> None:
    inbox.receive("w1")
    inbox.change(f"UPDATE message SET received_at = now() - interval '{age}'")
    for number in range(1, 3 * MOST_TRIES):
        if inbox.claim():
            inbox.fail(number, may_pass=True)
        inbox.make_due()

    assert inbox.states() == [state]


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


def waits(inbox: Inbox) -> list[float]:
    """Returns how many seconds each message still rests."""
    rows = inbox.values("SELECT extract(epoch FROM next_try_at - now())::float8 FROM message")
    return [float(str(seconds)) for seconds in rows]


def test_messages_that_failed_often_rest_for_up_to_an_hour(inbox: Inbox) -> None:
    inbox.receive("w1", *["[]"] * 50)
    inbox.claim()
    inbox.change("UPDATE message SET tries = 9")
    inbox.fail(1)

    delays = waits(inbox)
    assert max(delays) > 10 * messages.FIRST_DELAY_SECONDS
    assert max(delays) <= messages.LONGEST_DELAY_SECONDS


def test_messages_whose_worker_was_killed_often_come_again_within_seconds(inbox: Inbox) -> None:
    inbox.receive("w1")
    inbox.change("UPDATE message SET tries = 9")
    inbox.claim()
    inbox.compensate(1)

    assert max(waits(inbox)) <= messages.FIRST_DELAY_SECONDS


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
