"""What the ERP says of orders, into the store: one saga a page of messages.

    delivery ──► a message an order ──► page ──► newest word of each order applied
    or poll                                      (undo: the status before)

The newest word by the ERP's time counts; an older or repeated one is noted and changes
nothing. A word that we do not know, on an order that we do not know, or that cannot be
read leaves its message dead, with the payload, for a person. A cancellation of an order
that is only being exported waits: it may be of a draft that was taken back. May run
beside itself: a message has one saga at a time, and orders are locked in one order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.domain.order_updates import (
    CHANGED,
    OrderUpdate,
    orders_of,
    read_update,
)
from commerce_pipelines.errors import InvalidInput
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps, TransactionalStep, Undo
from commerce_pipelines.store import message_claims, messages
from commerce_pipelines.store.order_statuses import (
    StatusWord,
    Verdict,
    apply_statuses,
    restore_statuses,
)

KIND = "order_status_import"
TOPIC = "order_updates"
MOST_MESSAGES = 500
_EARLY = "The order is being exported; whether this is about it is known afterwards."


def parts(body: bytes) -> list[messages.Part]:
    """Returns a delivery as messages, one an order; a single order as it came.

    Raises:
        InvalidInput: It is not about orders.
    """
    orders = orders_of(body)
    if len(orders) == 1:
        return [messages.Part(body, aggregate=_aggregate(orders[0]))]
    return [part_of(order) for order in orders]


def part_of(order: JSON) -> messages.Part:
    """Returns what is said of one order as a message."""
    # What is no number for a float stays as it was written.
    body = json.dumps({"type": CHANGED, "order": order}, default=str)
    return messages.Part(body.encode(), aggregate=_aggregate(order))


@dataclass(frozen=True)
class ApplyStatuses(TransactionalStep):
    """Gives orders the newest status that a page of messages has for them.

    Attributes:
        words: What is said, by message; an undo needs none.
    """

    name = "store.apply_order_statuses"
    words: Mapping[int, StatusWord] = field(default_factory=dict)

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Applies them and notes on each message what became of it; returns the counts."""
        del plan
        applied = apply_statuses(connection, saga_id, self.words.values())
        outcomes = {
            message_id: {**each._asdict(), "status": word.status, "external_id": word.external_id}
            for (message_id, word), each in zip(self.words.items(), applied, strict=True)
        }
        messages.note_outcomes(connection, outcomes)
        return dict(Counter(each.verdict for each in applied))

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Restores the statuses where nobody has changed the order since."""
        report = restore_statuses(connection, saga_id)
        return Undo(superseded=bool(report["superseded"] and not report["restored"]), report=report)


@dataclass(frozen=True)
class OrderStatusImport:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        run_id: Who is working.
    """

    ledger: Ledger
    run_id: str

    def claim(self) -> str | None:
        """Opens a saga for the next waiting messages; None when none wait."""
        saga_id = f"{KIND}-{uuid4().hex}"
        with self.ledger.engine.begin() as connection:
            claimed = message_claims.claim_page(
                connection,
                topic=TOPIC,
                saga_id=saga_id,
                run_id=self.run_id,
                most_items=MOST_MESSAGES,
            )
            if not claimed:
                return None
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=saga_id, run_id=self.run_id
            )
        return saga_id

    def apply(self, saga_id: str) -> Counter[str]:
        """Applies a page and ends its saga; returns how many words came to what."""
        with Saga.joined(
            self.ledger,
            saga_id,
            self.run_id,
            on_failure=lambda error: messages.failed(saga_id, error),
        ) as saga:
            with self.ledger.engine.connect() as connection:
                claimed = messages.load_claimed(connection, saga_id)
            words, unusable = _read(claimed)
            counts = Counter(saga.take(ApplyStatuses(words), {"messages": len(claimed)}))
            saga.succeed(lambda connection: _end(connection, saga_id, unusable))
        counts["unusable"] += len(unusable)
        return counts


def steps() -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    return {ApplyStatuses.name: ApplyStatuses()}


def _word(update: OrderUpdate) -> StatusWord:
    """Returns what is said of an order, as the store takes it.

    Raises:
        InvalidInput: We do not know the word.
    """
    if update.status is None:
        raise InvalidInput(f"Nobody here knows what the status {update.word!r} means.")
    return StatusWord(
        update.external_id, update.reference, update.status, update.word, update.changed_at
    )


def _read(claimed: Iterable[messages.Claimed]) -> tuple[dict[int, StatusWord], dict[int, str]]:
    """Returns what the messages say, and why some of them cannot be used."""
    words: dict[int, StatusWord] = {}
    unusable: dict[int, str] = {}
    for message in claimed:
        try:
            words[message.id] = _word(_one(message.body))
        except InvalidInput as error:
            unusable[message.id] = str(error)
    return words, unusable


def _one(body: bytes) -> OrderUpdate:
    (order,) = orders_of(body)
    return read_update(order)


def _end(connection: Connection, saga_id: str, unusable: Mapping[int, str]) -> None:
    """Ends the messages: most are done, some wait for the export, some for a person."""
    early = []
    for message_id, outcome in messages.outcomes_of(connection, saga_id).items():
        verdict = outcome.get("verdict")
        if verdict == Verdict.EARLY:
            early.append(message_id)
        if verdict == Verdict.UNKNOWN_ORDER:
            messages.bury(connection, message_id, _unknown(outcome))
    for message_id, reason in unusable.items():
        messages.bury(connection, message_id, reason)
    messages.finish(connection, saga_id, but=early)
    messages.fail(connection, saga_id, _EARLY, may_pass=True)


def _unknown(outcome: JSON) -> str:
    return (
        f"The ERP's order {outcome['external_id']} is none of ours: neither its id there nor its "
        "reference is known here."
    )


def _aggregate(order: JSON) -> str | None:
    """Returns what a message is about; such messages keep their order."""
    try:
        return f"erp_order:{read_update(order).external_id}"
    except InvalidInput:
        return None
