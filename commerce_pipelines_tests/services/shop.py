"""The flow from inbox to documents, run by hand as Dagster would run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.connectors.sanity import Document, Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services import recovery
from commerce_pipelines.services.pim_import import PimImport
from commerce_pipelines_tests.factories import deliver


@dataclass
class Shop:
    """A store, its ledger and its CMS."""

    ledger: Ledger
    sanity: Sanity
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def engine(self) -> Engine:
        """The store's database."""
        return self.ledger.engine

    def receive(self, *products: Any, webhook_id: str | None = None) -> int:
        """Puts a list of products into the inbox and returns the message's id."""
        with self.engine.begin() as connection:
            receipt = deliver(connection, webhook_id or f"w{next(self._numbers)}", *products)
        return receipt.message_ids[0]

    def flow(self, run_id: str = "run") -> PimImport:
        """Returns the flow in the hands of a run."""
        return PimImport(self.ledger, self.sanity, run_id)

    def run(self, run_id: str = "run") -> list[JSON]:
        """Works on all waiting messages; returns what each page wrote."""
        flow = self.flow(run_id)
        written = []
        while opened := flow.open_page():
            stored = flow.store_page(opened)
            documents = flow.publish_page(opened.saga_id)
            written.append({**stored, **{f"documents_{k}": v for k, v in documents.items()}})
        return written

    def take(self, *products: Any) -> JSON:
        """Receives one list, works on it and returns what its page wrote."""
        self.receive(*products)
        (written,) = self.run()
        return written

    def recover(self) -> dict[str, int]:
        """Undoes all that is due; returns how often each outcome came."""
        undo = recovery.compensator(self.ledger, self.sanity)
        return {str(outcome): times for outcome, times in recovery.sweep(undo, "sweep").items()}

    def make_due(self) -> None:
        """Lets all waiting times have passed, and all silent owners be given up."""
        for statement in (
            "UPDATE message SET next_try_at = now()",
            "UPDATE saga SET next_try_at = now()",
            """UPDATE saga SET lease_until = now() - interval '1 second'
               WHERE lease_until IS NOT NULL""",
        ):
            self.change(statement)

    def change(self, statement: str, **names: object) -> None:
        """Changes rows."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), names)

    def rows(self, query: str, **names: object) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), names)]

    def values(self, query: str, **names: object) -> list[Any]:
        """Returns the first column of a query."""
        return [row[0] for row in self.rows(query, **names)]

    def titles(self) -> list[str]:
        """Returns the titles of all products in order."""
        return sorted(self.values("SELECT title FROM product"))

    def outcome(self, message_id: int) -> JSON:
        """Returns what became of a message."""
        (outcome,) = self.values("SELECT outcome FROM message WHERE id = :id", id=message_id)
        return dict(outcome)


class InterruptedSanity(Sanity):
    """A Sanity where something happens between our reading and our writing.

    Attributes:
        before_write: What happens.
    """

    def __init__(self, http: HttpSession, dataset: str, budget: RateBudget) -> None:
        super().__init__(http, dataset, budget)
        self.before_write: Callable[[], object] = lambda: None

    def fetch_documents(self, ids: Any) -> dict[str, Document]:
        """Fetches documents, then lets it happen."""
        found = super().fetch_documents(ids)
        self.before_write()
        return found
