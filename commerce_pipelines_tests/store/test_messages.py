"""The inbox: each delivery once, and what became of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from commerce_pipelines.store import messages
from commerce_pipelines.store.messages import Part, Receipt
from commerce_pipelines_tests.store.inbox import TOPIC, Inbox


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


def test_outcomes_are_kept_until_the_next_try(inbox: Inbox) -> None:
    (message,) = inbox.receive("w1").message_ids
    inbox.claim()
    with inbox.engine.begin() as connection:
        messages.note_outcomes(connection, {message: {"created": 1}})
        assert messages.outcomes_of(connection, "saga-1") == {message: {"created": 1}}

    inbox.fail(1)

    assert inbox.values("SELECT outcome FROM message") == [None]
