"""What a person's commands do: look at sagas and messages, and decide about them.

Does not belong here: what a decision does (`saga.operations`,
`store.message_operations`), what is told of a saga (`saga_report`), and how it is
printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga import operations as ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.saga.parked import list_parked
from commerce_pipelines.saga.states import SagaStatus, StepState
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.areas import PRODUCTS, Area
from commerce_pipelines.services.attention import (
    IN_CATALOG,
    backlog_concerns,
    brief,
    dead_concerns,
    parked_concerns,
)
from commerce_pipelines.services.erp_product_sync import StorePage
from commerce_pipelines.services.price_book_health import age_concerns
from commerce_pipelines.services.product_update_steps import UpdateStoreProduct
from commerce_pipelines.services.refusals import refused_concerns
from commerce_pipelines.services.saga_report import describe_saga
from commerce_pipelines.store import message_operations as inbox
from commerce_pipelines.store.catalog_sharing import announce_changed_documents
from commerce_pipelines.store.catalog_undo import leave_products
from commerce_pipelines.store.message_reads import load_delivery
from commerce_pipelines.store.price_book_figures import load_age
from commerce_pipelines.store.product_changes import announce_document


@dataclass(frozen=True)
class Desk:
    """What is looked at.

    Attributes:
        engine: The store with its ledger.
        sanity: The CMS; None when it is not configured.
        dagster_url: Dagster's UI, for links to runs.
        brand_system: The brand system; None when it is not configured.
        erp: The ERP; None when it is not configured.
        areas: Whose messages should not wait for long.
        fresh_seconds: How old a word of the ERP may be for a cart; None where there is no ERP.
    """

    engine: Engine
    sanity: Sanity | None = None
    dagster_url: str | None = None
    brand_system: BrandSystem | None = None
    erp: Erp | None = None
    areas: Sequence[Area] = (PRODUCTS,)
    fresh_seconds: float | None = None

    def status(self) -> JSON:
        """Returns how much is in which state, and what waits for a person."""
        with self.engine.connect() as connection:
            counts = inbox.count_messages(connection)
            parked = parked_concerns(connection)
            dead = dead_concerns(connection)
            refused = refused_concerns(connection)
            backlogs = [backlog_concerns(connection, area=area) for area in self.areas]
            stale = age_concerns(connection, self.fresh_seconds)
            return {
                "parked_count": parked.count,
                "parked": [each.as_json() for each in parked.told],
                "dead_count": dead.count,
                "dead": [each.as_json() for each in dead.told],
                "refused_count": refused.count,
                "refused": [each.as_json() for each in refused.told],
                "backlog": [each.as_json() for backlog in backlogs for each in backlog.told],
                "stale": [each.as_json() for each in stale.told],
                "sagas": ledger.count_sagas(connection),
                "messages": counts.by_state,
                "oldest_unfinished_message_seconds": counts.oldest_unfinished_seconds,
                "price_book_seconds": load_age(connection),
            }

    def list_messages(
        self, states: Sequence[str], source: str | None, since: datetime | None, limit: int
    ) -> list[JSON]:
        """Returns messages, newest first; no states are all."""
        with self.engine.connect() as connection:
            return inbox.list_messages(
                connection, states=states, source=source, since=since, limit=limit
            )

    def describe_message(self, message_id: int) -> JSON:
        """Returns a message, what people did to it, and the delivery that it is a part of.

        Raises:
            NotFound: There is no such message.
        """
        with self.engine.connect() as connection:
            message = inbox.load_message(connection, message_id)
            delivery = load_delivery(connection, message_id)
        return {**message, "delivery": asdict(delivery) if delivery else None}

    def message_body(self, message_id: int) -> bytes:
        """Returns the bytes that a message brought.

        Raises:
            NotFound: There is no such message, or its body is no longer kept.
        """
        with self.engine.connect() as connection:
            return inbox.load_body(connection, message_id)

    def replayable_ids(self, selection: inbox.Selection) -> list[int]:
        """Returns the selected messages that can be done again, oldest first."""
        with self.engine.connect() as connection:
            return inbox.replayable_ids(connection, selection)

    def replay(self, message_ids: Sequence[int], who: str, reason: str) -> None:
        """Has messages worked on again, all or none; see `store.message_operations`."""
        with self.engine.begin() as connection:
            inbox.replay(connection, message_ids, who, reason)

    def list_sagas(self, statuses: Sequence[str], limit: int) -> list[JSON]:
        """Returns sagas, unfinished ones first; no statuses are all.

        Asked for parked ones, it also returns those that ended before a step of them was parked.
        """
        with self.engine.connect() as connection:
            sagas = ledger.list_sagas(connection, statuses, limit)
            if SagaStatus.PARKED in statuses:
                known = {saga["saga_id"] for saga in sagas}
                late = {step.saga_id for step in list_parked(connection, limit)} - known
                sagas += [
                    _listed(ledger.load_saga(connection, saga_id)) for saga_id in sorted(late)
                ]
        return [{**one, "reason": one["reason"] and brief(one["reason"])} for one in sagas[:limit]]

    def retry(self, saga_id: str, decision: Decision) -> str:
        """Lets a parked saga be tried again and returns its status; see `saga.operations`."""
        with self.engine.begin() as connection:
            ledger.retry(connection, saga_id, decision)
            return ledger.status_of(connection, saga_id)

    def accept(self, saga_id: str, decision: Decision, seq: int | None = None) -> str:
        """Leaves parked steps as they are and returns the saga's status."""
        with self.engine.begin() as connection:
            steps = ledger.load_saga(connection, saga_id)["steps"]
            left = [step for step in _chosen(steps, seq) if step["name"] in IN_CATALOG]
            for step in left:
                _announce_documents(connection, step)
                leave_products(connection, saga_id)
            ledger.accept(connection, saga_id, decision, seq)
            return ledger.status_of(connection, saga_id)

    def resolve(self, saga_id: str, decision: Decision, seq: int | None = None) -> str:
        """Notes that parked steps were undone by hand and returns the saga's status."""
        with self.engine.begin() as connection:
            ledger.resolve(connection, saga_id, decision, seq)
            return ledger.status_of(connection, saga_id)

    def describe_saga(self, saga_id: str) -> JSON:
        """Returns everything that is known of a saga, and what would finish it.

        Raises:
            NotFound: There is no such saga.
        """
        return describe_saga(
            self.engine,
            saga_id,
            sanity=self.sanity,
            brand_system=self.brand_system,
            erp=self.erp,
            dagster_url=self.dagster_url,
        )


def _announce_documents(connection: Connection, step: JSON) -> None:
    """Has the documents of what stays looked at, where no word of the PIM follows that does it."""
    if step["name"] == StorePage.name:
        announce_changed_documents(connection, step["saga_id"])
    if step["name"] == UpdateStoreProduct.name:
        announce_document(connection, step["plan"]["product_id"])


def _chosen(steps: list[JSON], seq: int | None) -> list[JSON]:
    parked = [step for step in steps if step["state"] == StepState.PARKED]
    return [step for step in parked if seq in (None, step["seq"])]


def _listed(saga: JSON) -> JSON:
    """Returns a saga as `ledger.list_sagas` gives it."""
    steps, _ = saga.pop("steps"), saga.pop("events")
    parked = [step["name"] for step in steps if step["state"] == StepState.PARKED]
    return {**saga, "taken": len(steps), "parked": parked}
