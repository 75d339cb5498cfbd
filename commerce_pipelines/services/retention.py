"""Keeping things as long as they are needed, and no longer.

    answers by idempotency key
    carts that were left
    bodies ──► messages                  of what is done
    plans, results, before-images ──► sagas with their events       of what is finished
    seals in Sanity, together with the plans of their steps

Kept for ever: what else is unfinished, parked or dead, completed carts and orders. May
be killed anywhere and run beside everything, itself included: each page is one commit,
and finds again what was left. Sanity comes last, so that what does not need it is done
without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.sanity import Sanity, seal_id
from commerce_pipelines.services.document_steps import WriteDocuments
from commerce_pipelines.store import retention
from commerce_pipelines.store.retention import Page

SEALING = (WriteDocuments.name,)


@dataclass(frozen=True)
class Ages:
    """How many days something is kept after it is over.

    Attributes:
        bodies_days: The bodies of messages.
        messages_days: Messages; as long, a repeated delivery is known as such.
        steps_days: What steps planned and did, and before-images of products and brands.
        sagas_days: Sagas with their events.
        answers_days: Answers by idempotency key; as long, a repeated request is known.
        carts_days: Carts that nobody completed, after they were touched last.
    """

    bodies_days: int
    messages_days: int
    steps_days: int
    sagas_days: int
    answers_days: int = 1
    carts_days: int = 30


@dataclass(frozen=True)
class Retention:
    """The deletion, with what it works on.

    Attributes:
        engine: The store with its ledger.
        ages: How old what is deleted must be.
        open_sanity: Opens the CMS; called only when there are seals to delete.
        messages_a_page: How many messages, answers, carts or seals one commit looks at.
        sagas_a_page: How many sagas; each may have thousands of before-images.
    """

    engine: Engine
    ages: Ages
    open_sanity: Callable[[], Sanity]
    messages_a_page: int = 1_000
    sagas_a_page: int = 50

    def pages(self) -> Iterator[dict[str, int]]:
        """Deletes page by page; yields after each commit how many of what it deleted.

        Raises:
            CommerceError: Sanity cannot delete seals; all the rest is done.
        """
        yield from self._walk(0, self._drop_answers)
        yield from self._walk("", self._drop_carts)
        yield from self._walk(0, self._strip_messages)
        yield from self._walk(0, self._drop_messages)
        yield from self._walk("", self._strip_sagas)
        yield from self._walk("", self._drop_sagas)
        yield from self._unseal()

    def _drop_answers(self, store: Connection, after: Any) -> Page:
        most, days = self.messages_a_page, self.ages.answers_days
        return retention.drop_answers(store, after, most, days)

    def _drop_carts(self, store: Connection, after: Any) -> Page:
        return retention.drop_carts(store, after, self.messages_a_page, self.ages.carts_days)

    def _strip_messages(self, store: Connection, after: Any) -> Page:
        most, days = self.messages_a_page, self.ages.bodies_days
        return retention.strip_messages(store, after, most, days)

    def _drop_messages(self, store: Connection, after: Any) -> Page:
        most, days = self.messages_a_page, self.ages.messages_days
        return retention.drop_messages(store, after, most, days)

    def _strip_sagas(self, store: Connection, after: Any) -> Page:
        most, days = self.sagas_a_page, self.ages.steps_days
        return retention.strip_sagas(store, after, most, days, SEALING)

    def _drop_sagas(self, store: Connection, after: Any) -> Page:
        return retention.drop_sagas(store, after, self.sagas_a_page, self.ages.sagas_days)

    def _walk(
        self, start: int | str, work: Callable[[Connection, Any], Page]
    ) -> Iterator[dict[str, int]]:
        after: int | str | None = start
        while after is not None:
            with self.engine.begin() as connection:
                page = work(connection, after)
            yield page.deleted
            after = page.last

    def _unseal(self) -> Iterator[dict[str, int]]:
        """Deletes seals, then what their steps had planned.

        The sealed transaction stays out: its id has been used, by the seal.
        """
        most, days = self.messages_a_page, self.ages.steps_days
        while True:
            with self.engine.connect() as connection:
                steps = retention.sealed_steps(connection, most, days, SEALING)
            if not steps:
                return
            deletes = [{"delete": {"id": seal_id(step.idem_key)}} for step in steps]
            # Killed before the commit below, it deletes them again, which changes nothing.
            self.open_sanity().mutate(deletes, f"retention-{uuid4().hex}")
            with self.engine.begin() as connection:
                retention.strip_steps(connection, steps)
            yield {"seals": len(steps), "steps": len(steps)}
