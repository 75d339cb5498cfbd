"""The store's half of an import: upsert a page of products, and take them back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from commerce_pipelines.domain.feed import FeedRow, Rejected
from commerce_pipelines.saga.step import JSON, TransactionalStep, Undo
from commerce_pipelines.services.product_documents import wanted_document
from commerce_pipelines.store import messages
from commerce_pipelines.store.catalog_import import (
    ImportedRow,
    hold_products,
    take_products,
    upsert_products,
)
from commerce_pipelines.store.catalog_undo import UndoneProducts, undo_products
from commerce_pipelines.store.documents import load_contents

PIM = "pim"


@dataclass(frozen=True)
class Page:
    """What a saga imports: the products of its messages, each once.

    Attributes:
        lengths: How many products each message's list has.
        looked_at: Of messages that bring nothing new, the products whose documents may be stale.
    """

    rows: Sequence[FeedRow] = ()
    rejected: Sequence[Rejected] = ()
    lengths: dict[int, int] = field(default_factory=dict)
    looked_at: dict[int, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class UpsertProducts(TransactionalStep):
    """Creates and updates a page of products and notes the outcome on its messages.

    Attributes:
        page: What to import; an undo needs none.
    """

    name = "store.upsert_products"
    page: Page = Page()

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Upserts the page; returns the counts."""
        del plan
        if self.page.looked_at:
            return _take_stale(connection, saga_id, self.page.looked_at)
        imported, refused = upsert_products(connection, saga_id, PIM, self.page.rows)
        rejected = [*self.page.rejected, *refused]
        messages.note_outcomes(connection, _outcomes(self.page.lengths, imported, rejected))
        counts = Counter(row.action for row in imported)
        return {
            "created": counts["create"],
            "updated": counts["update"],
            "unchanged": counts["unchanged"] + counts["stale"],
            "rejected": len(rejected),
        }

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Deletes the created products and restores the changed ones, where still ours."""
        del plan
        undone = undo_products(connection, saga_id)
        changed = result["created"] + result["updated"]
        return Undo(superseded=0 < changed == undone.superseded, report=asdict(undone))


@dataclass(frozen=True)
class WithdrawProducts(TransactionalStep):
    """Takes back products of this saga that the CMS refused, so that neither side has them."""

    name = "store.withdraw_products"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Undoes the planned products and rejects them in the outcome of their messages."""
        undone = undo_products(connection, saga_id, [plan["product_id"]])
        outcomes = messages.outcomes_of(connection, saga_id)
        _uncount(list(outcomes.values()), plan["product_id"], undone)
        for outcome in outcomes.values():
            _withdraw(outcome, plan["product_id"], plan["reason"])
        messages.note_outcomes(connection, outcomes)
        return asdict(undone)

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Has nothing to do: the products are already as they were before the saga."""
        del connection, saga_id, plan, result
        return Undo()


def _take_stale(connection: Connection, saga_id: str, looked_at: dict[int, list[str]]) -> JSON:
    """Takes those products whose documents would not be as they are; others stay free."""
    ids = sorted({id_ for listed in looked_at.values() for id_ in listed})
    take_products(connection, saga_id, ids)
    contents = load_contents(connection, ids)
    stale = {
        content.product_id
        for content in contents
        if wanted_document(content).content_hash != content.content_hash
    }
    hold_products(connection, saga_id, sorted(stale))
    outcomes = {
        message_id: {
            "created": 0,
            "updated": len(stale.intersection(listed)),
            "unchanged": len(set(listed) - stale),
            "rejected": [],
            "products": listed,
        }
        for message_id, listed in looked_at.items()
    }
    messages.note_outcomes(connection, outcomes)
    unchanged = len(ids) - len(stale)
    return {"created": 0, "updated": len(stale), "unchanged": unchanged, "rejected": 0}


def _outcomes(
    lengths: dict[int, int], imported: Iterable[ImportedRow], rejected: Iterable[Rejected]
) -> dict[int, JSON]:
    ids: dict[int, list[str | None]] = {id_: [None] * length for id_, length in lengths.items()}
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for row in imported:
        for message_id, position in row.row.places:
            ids[message_id][position] = row.product_id
        counts[row.row.message_id][_COUNTED_AS[row.action]] += 1
    refusals: dict[int, list[Any]] = defaultdict(list)
    for refusal in rejected:
        refusals[refusal.message_id].append(refusal.rejection.model_dump())
    return {
        message_id: {
            "created": counts[message_id]["created"],
            "updated": counts[message_id]["updated"],
            "unchanged": counts[message_id]["unchanged"],
            "rejected": sorted(refusals[message_id], key=lambda refusal: refusal["position"]),
            "products": ids[message_id],
        }
        for message_id in lengths
    }


def _uncount(outcomes: list[JSON], product_id: str, undone: UndoneProducts) -> None:
    """Takes a product out of the counts of the last message that had it, where it was counted."""
    holding = [outcome for outcome in outcomes if product_id in outcome.get("products", [])]
    if holding:
        holding[-1]["created"] -= undone.deleted
        holding[-1]["updated"] -= undone.restored


def _withdraw(outcome: JSON, product_id: str, reason: str) -> None:
    products = outcome.get("products", [])
    for position, known in enumerate(products):
        if known == product_id:
            products[position] = None
            outcome["rejected"].append(
                {"position": position, "field": "", "reason": f"Sanity refused it: {reason}"}
            )


_COUNTED_AS = {
    "create": "created",
    "update": "updated",
    "unchanged": "unchanged",
    "stale": "unchanged",
}
