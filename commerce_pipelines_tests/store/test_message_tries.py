"""Messages that failed: they come apart from others, rest, and are dead after their last try."""

from __future__ import annotations

import pytest

from commerce_pipelines.store import messages
from commerce_pipelines.store.messages import MOST_TRIES
from commerce_pipelines_tests.store.inbox import Inbox


def test_a_message_is_free_again_once_its_saga_is_undone(inbox: Inbox) -> None:
    (message,) = inbox.receive("w1").message_ids
    inbox.claim()
    inbox.fail(1)
    inbox.rest()
    assert inbox.claim() == []
    inbox.make_due()

    assert inbox.claim() == [message]
    assert inbox.values("SELECT last_error FROM message") == ["Sanity is away"]


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
