"""The other side's brands into the store: one saga a sync.

    retrieve ──► decide ──► create ───────► update
                            new brands      changed and gone ones,
                            (undo: delete)  how far we read (undo: restore)

A sync reads what changed since the last one; all of it the first time, and when
the number of brands there says that some are gone. What fails it: the brand
system not answering; the next one starts afresh. What is parked: the undo of a
new brand that got products meanwhile. Must not run beside itself, and does not:
while one is at work another one ends at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.errors import NeedsPerson
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps, TransactionalStep, Undo
from commerce_pipelines.store import brand_changes, brand_staging, brands

KIND = "brand_sync"
LOCK_KEY = "brands"
WATERMARK = "brands"
# A change that was committed there while we read may carry an earlier time.
OVERLAP_SECONDS = 5.0
# So many are asked for one by one before they are called gone.
MOST_ASKED_FOR = 50
_NEEDS_WORK = ("create", "adopt", "update", "alias", "lost", "refused")


@dataclass(frozen=True)
class Retrieved:
    """What a sync read.

    Attributes:
        brands: Those that changed, or all of them.
        rejected: Rows that are no brands, each with a reason.
        total: How many brands there are there.
        missing: Which linked ones were not there any more, when all were read.
    """

    brands: list[ForeignBrand] = field(default_factory=list)
    rejected: list[JSON] = field(default_factory=list)
    total: int = 0
    missing: list[str] | None = None

    @property
    def changes_nothing(self) -> bool:
        """Tells whether the other side is as it was."""
        return not self.brands and self.missing is None


@dataclass(frozen=True)
class Decision:
    """What is to be done.

    Attributes:
        saga_id: The saga that will do it; None when there is nothing to do.
        actions: How many brands each action is for, `gone` among them.
        left: Those that are refused or lost, and why.
    """

    saga_id: str | None
    actions: dict[str, int]
    left: list[JSON] = field(default_factory=list)


@dataclass(frozen=True)
class CreateBrands(TransactionalStep):
    """Creates the brands that are new, and links those that the store has under the same name."""

    name = "store.create_brands"
    retrieved: Retrieved = Retrieved()

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Creates and links; returns how many."""
        del plan
        brand_staging.keep_others_out(connection)
        decided = brand_staging.decide(connection, self.retrieved.brands)
        adopted = sum(each.action == "adopt" for each in decided)
        return {"created": brand_changes.create_brands(connection, saga_id), "adopted": adopted}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Deletes the created brands.

        Raises:
            NeedsPerson: One of them has products by now.
        """
        del plan, result
        undone = brand_changes.undo_creations(connection, saga_id)
        if undone.in_use:
            raise NeedsPerson(f"Products have these new brands by now: {', '.join(undone.in_use)}.")
        return Undo(report=asdict(undone))


@dataclass(frozen=True)
class UpdateBrands(TransactionalStep):
    """Changes the brands that changed there, marks those that are gone, notes how far we read."""

    name = "store.update_brands"
    retrieved: Retrieved = Retrieved()

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Updates; returns how many, and which were refused or lost and why."""
        del plan
        brand_staging.keep_others_out(connection)
        decided = brand_staging.decide(connection, self.retrieved.brands)
        updated = brand_changes.update_brands(connection, saga_id)
        gone = 0
        if self.retrieved.missing:
            gone = brand_changes.mark_gone(connection, saga_id, self.retrieved.missing)
        return {
            "updated": updated,
            "unchanged": sum(each.action == "unchanged" for each in decided),
            "gone": gone,
            "left": _left(decided),
            "watermark_before": _note_how_far(connection, self.retrieved),
        }

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Restores the brands that nobody changed since, and has it all read again."""
        del plan
        undone = brand_changes.undo_updates(connection, saga_id)
        if result["watermark_before"] is not None:
            brands.reset_watermark(connection, WATERMARK, result["watermark_before"])
        superseded = undone.superseded > 0 and undone.restored == 0
        return Undo(superseded=superseded, report=asdict(undone))


@dataclass(frozen=True)
class BrandSync:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        brand_system: The other side.
        run_id: Who is working.
    """

    ledger: Ledger
    brand_system: BrandSystem
    run_id: str

    def retrieve(self, *, whole: bool = False) -> Retrieved:
        """Fetches what changed since the last sync; all when it is the first, or some are gone.

        When nothing has changed this is one question to the store and one request.

        Args:
            whole: Fetch all in any case.
        """
        with self.ledger.engine.connect() as connection:
            known = brands.load_sync_state(connection, WATERMARK, OVERLAP_SECONDS)
        if whole or known.read_until is None:
            return self._retrieve_all()
        since = known.read_until - timedelta(seconds=OVERLAP_SECONDS)
        changed = self.brand_system.fetch_changed(since)
        fresh = [
            each for each in changed.brands if known.recent.get(each.external_id) != each.facts
        ]
        rejected = [asdict(row) for row in changed.rejected]
        if not fresh and changed.total == known.total:
            return Retrieved(rejected=rejected, total=changed.total)
        if changed.total < self._least_total(known.total, fresh):
            return self._retrieve_all()
        return Retrieved(fresh, rejected, changed.total)

    def decide(self, retrieved: Retrieved) -> Decision:
        """Opens a saga if there is anything to do.

        Raises:
            Busy: Another sync is at work.
        """
        with self.ledger.engine.begin() as connection:
            decided = brand_staging.decide(connection, retrieved.brands)
            actions = dict(Counter(each.action for each in decided))
            actions["gone"] = len(retrieved.missing or ())
            if not any(actions.get(action) for action in (*_NEEDS_WORK, "gone")):
                _note_how_far(connection, retrieved)
                return Decision(None, actions, _left(decided))
            saga_id = f"{KIND}-{uuid4().hex}"
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=LOCK_KEY, run_id=self.run_id
            )
        return Decision(saga_id, actions, _left(decided))

    def create(self, saga_id: str, retrieved: Retrieved) -> JSON:
        """Creates the new brands; returns how many were created and adopted."""
        with Saga.joined(self.ledger, saga_id, self.run_id) as saga:
            return saga.take(CreateBrands(retrieved), {"brands": len(retrieved.brands)})

    def update(self, saga_id: str, retrieved: Retrieved) -> JSON:
        """Updates the changed brands and ends the saga; returns how many, and what was left."""
        with Saga.joined(self.ledger, saga_id, self.run_id) as saga:
            result = saga.take(UpdateBrands(retrieved), {"brands": len(retrieved.brands)})
            saga.succeed()
        return result

    def _retrieve_all(self) -> Retrieved:
        # Before the list is read: what is linked afterwards is not missing from it.
        with self.ledger.engine.connect() as connection:
            links = brands.present_links(connection)
        everything = self.brand_system.fetch_changed(None)
        there = {brand.external_id for brand in everything.brands}
        there |= {row.external_id for row in everything.rejected if row.external_id is not None}
        missing = sorted(links - there)
        # A list that shifts while it is read may leave one out; being asked for it tells.
        if len(missing) <= MOST_ASKED_FOR:
            asked = [self.brand_system.find(external_id) for external_id in missing]
            found = [brand for brand in asked if brand is not None]
            everything.brands.extend(found)
            missing = sorted(set(missing) - {brand.external_id for brand in found})
        rejected = [asdict(row) for row in everything.rejected]
        return Retrieved(everything.brands, rejected, everything.total, missing)

    def _least_total(self, known_total: int, fresh: Sequence[ForeignBrand]) -> int:
        """Returns how many brands there must be there if none is gone.

        Links count too: a run that goes on has created some of what it reads as new.
        """
        with self.ledger.engine.connect() as connection:
            links = brands.present_links(connection)
        new = sum(each.external_id not in links for each in fresh)
        return max(known_total, len(links)) + new


def steps() -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    return {CreateBrands.name: CreateBrands(), UpdateBrands.name: UpdateBrands()}


def _left(decided: Sequence[brand_staging.Decided]) -> list[JSON]:
    return [asdict(each) for each in decided if each.action in ("refused", "lost")]


def _note_how_far(connection: Connection, retrieved: Retrieved) -> JSON | None:
    """Moves the watermark to the newest change; returns where it was, None if there was none."""
    if not retrieved.brands and retrieved.missing is None:
        return None
    return brands.move_watermark(
        connection,
        WATERMARK,
        max((each.updated_at for each in retrieved.brands), default=None),
        retrieved.total,
    )
