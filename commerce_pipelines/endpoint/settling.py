"""Answering a wish: once a key, in one transaction, with the ERP asked in between.

    lock ──► answered before? ──► work ──► the answer is kept with its effect
               └──► that answer      └──► open questions: nothing is kept, the ERP is
                                          asked, and all of it is done again

Kept is whatever is decided in the transaction, a refusal too: a repeated request must
not find another answer. Not kept is what found no place (404), or nobody able to decide
(503): that may come again under the same key. Does not belong here: what a wish leads to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from commerce_pipelines.endpoint import problems
from commerce_pipelines.endpoint.resources import Resources
from commerce_pipelines.errors import Declined
from commerce_pipelines.services.enquiries import Attempt, Inquired, Kept, Open, Question
from commerce_pipelines.store.idempotency import (
    Answer,
    KeyedRequest,
    keep_and_commit,
    note_delivery,
    wait_for_others,
)

# Others may change the same record just then, one after the other; an import keeps writers of
# brands out while it stores a page.
CHANGE_SECONDS: Final = 10.0

L = TypeVar("L")
T = TypeVar("T")


@dataclass(frozen=True)
class Settling(Generic[L]):
    """How a wish is answered.

    Attributes:
        keyed: What it is known by when it comes again; None if nothing.
        lock: Keeps others out, and returns what they are kept out of, and the first answer if
            this request was here before.
        work: Does it, with that in hand.
    """

    request: Request
    keyed: KeyedRequest | None
    lock: Callable[[Connection], tuple[L, Answer | None]]
    work: Callable[[Connection, Inquired, L], Answer | Open]

    def attempt(self, connection: Connection, inquired: Inquired) -> Answer | Open:
        """Does what the picture above shows."""
        locked, known = self.lock(connection)
        if known is not None:
            if self.keyed:
                note_delivery(connection, self.keyed)
            return known
        try:
            outcome = self.work(connection, inquired, locked)
        except Declined as error:
            outcome = _refusal(self.request, error)
        if self.keyed and isinstance(outcome, Answer):
            keep_and_commit(connection, self.keyed, outcome)
        return outcome


def only_one(keyed: KeyedRequest | None) -> Callable[[Connection], tuple[None, Answer | None]]:
    """Returns a lock for what has none: it keeps out who comes with the same key or delivery."""

    def lock(connection: Connection) -> tuple[None, Answer | None]:
        return None, wait_for_others(connection, keyed) if keyed else None

    return lock


async def answered(resources: Resources, settling: Settling[Any]) -> Response:
    """Answers a wish.

    Raises:
        CommerceError: It cannot be answered.
    """
    answer = await settled(resources, settling.attempt, seconds=CHANGE_SECONDS)
    return Response(answer.body, answer.status, dict(answer.headers))


async def settled(
    resources: Resources, attempt: Attempt[T], *, seconds: float, is_display: bool = False
) -> T:
    """Makes attempts until one is settled; no thread waits for the ERP meanwhile.

    Raises:
        CommerceError: What the attempt raises.
    """
    inquired = resources.enquiries.begin(is_display=is_display)
    while True:
        outcome = await resources.transact(lambda store: attempt(store, inquired), seconds)
        if not isinstance(outcome, Open):
            return outcome
        asked = resources.enquiries.ask(outcome)
        await _wait(asked, inquired.patience_seconds(outcome))
        inquired.note(asked)


def shown(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Returns an answer that shows something."""
    body = model.model_dump_json().encode()
    return Answer(status, body, {"content-type": "application/json", **(headers or {})})


def problem(request: Request, error: Exception) -> Answer:
    """Returns the answer that a problem is."""
    response = problems.answer(request, error)
    return Answer(response.status_code, bytes(response.body), dict(response.headers))


def _refusal(request: Request, error: Declined) -> Answer:
    answer = problem(request, error)
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return Answer(answer.status, answer.body, headers)


async def _wait(asked: Mapping[Question, Future[Kept]], seconds: float) -> None:
    waiting = [asyncio.wrap_future(answer) for answer in asked.values()]
    for each in waiting:
        # What comes after the time is looked at by nobody, and that is no fault.
        each.add_done_callback(lambda answer: answer.cancelled() or answer.exception())
    await asyncio.wait(waiting, timeout=seconds)
