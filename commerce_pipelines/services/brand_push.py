"""The store's own brands to the other side: one saga a message, a message a change.

    brand created or changed here, also by an import ──► message, in the same commit
    claim ──► create it there, or change it ──► note its external id
              (undo: delete, or put back)        (undo: forget it)

Where both sides changed a brand the newer change wins: an older one of ours is
not sent, and the sync brings theirs. The message of an import's brand waits until the
import has succeeded or is undone. What came from there writes no message, and
what was sent there is known by its external id, so nothing comes back as an
echo. What fails a push: the brand system not answering, or refusing the brand; its
message comes again, and a refusal is told meanwhile, for a person may rename the brand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.domain.brands import BrandChanges, ForeignBrand, StoredBrand, WantedBrand
from commerce_pipelines.domain.catalog import fold_name
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import Conflict, InvalidInput, NotFound, Refused
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, Steps, TransactionalStep, Undo
from commerce_pipelines.services.brand_steps import (
    CreateForeignBrand,
    UpdateForeignBrand,
    as_result,
    from_result,
)
from commerce_pipelines.services.brand_sync import OVERLAP_SECONDS, WATERMARK
from commerce_pipelines.store import brands, message_claims, messages
from commerce_pipelines.store.announcements import BRANDS

KIND = "brand_push"
TOPIC = BRANDS


def create_brand(connection: Connection, wanted: WantedBrand) -> tuple[StoredBrand, str]:
    """Creates a brand, or changes the one of that name, and has it pushed.

    Returns:
        The brand, and `created`, `changed` or `unchanged`.
    """
    brand, change = brands.save_brand(connection, wanted)
    if change != "unchanged":
        brands.announce(connection, brand.id)
    return brand, change


def change_brand(connection: Connection, brand_id: str, changes: BrandChanges) -> StoredBrand:
    """Changes a brand, its name too, and has it pushed.

    Raises:
        NotFound: There is no such brand.
        Conflict: Another brand has the name.
    """
    found = brands.change_brand(connection, brand_id, changes)
    if found is None:
        raise NotFound(f"There is no brand {brand_id}.")
    brand, change = found
    if change != "unchanged":
        brands.announce(connection, brand.id)
    return brand


@dataclass(frozen=True)
class NoteLink(TransactionalStep):
    """Notes what the other side has of a brand now. The plan: `brand_id`, `version`, `there`."""

    name = "store.note_brand"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        """Notes it; returns what was noted before."""
        there = from_result(plan["there"])
        before = brands.save_link(connection, saga_id, plan["brand_id"], plan["version"], there)
        return {"before": before}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Notes again what was noted before, unless somebody has noted something else."""
        external_id = plan["there"]["external_id"]
        kept = brands.restore_link(connection, saga_id, external_id, result["before"])
        return Undo(superseded=not kept)


@dataclass(frozen=True)
class BrandPush:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        brand_system: The other side.
        run_id: Who is working.
    """

    ledger: Ledger
    brand_system: BrandSystem
    run_id: str

    def claim(self) -> str | None:
        """Opens a saga for the next message; None when none waits."""
        saga_id = f"{KIND}-{uuid4().hex}"
        with self.ledger.engine.begin() as connection:
            claimed = message_claims.claim_page(
                connection, topic=TOPIC, saga_id=saga_id, run_id=self.run_id, most_items=1
            )
            if not claimed:
                return None
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=saga_id, run_id=self.run_id
            )
        return saga_id

    def push(self, saga_id: str) -> JSON:
        """Brings one brand to the other side, and ends the saga; returns what was done."""
        with Saga.joined(
            self.ledger,
            saga_id,
            self.run_id,
            on_failure=lambda error: messages.failed(saga_id, error),
        ) as saga:
            brand = self._read(saga_id)
            outcome = self._bring(saga, brand) if brand else {"action": "gone from the store"}
            saga.succeed(lambda connection: _end(connection, saga_id, outcome))
        return outcome

    def _bring(self, saga: Saga, brand: StoredBrand) -> JSON:
        begun = {row.name for row in self.ledger.steps(saga.saga_id)}
        create = CreateForeignBrand(self.brand_system)
        update = UpdateForeignBrand(self.brand_system)
        outcome: JSON = {"brand_id": brand.id}
        with self.ledger.engine.connect() as connection:
            link = brands.load_link(connection, brand.id)
        there = self._find(brand, link)
        if create.name in begun or (there is None and update.name not in begun):
            with _refusal_named(brand):
                result = saga.take(create, {"facts": list(brand.facts)})
            outcome["action"] = "created"
        elif update.name in begun or there is None or there.facts != brand.facts:
            if update.name not in begun and there and _is_newer(there, link, brand):
                return outcome | {"action": "lost", "why": f"changed there at {there.updated_at}"}
            before = as_result(there) if there else {}
            with _refusal_named(brand):
                result = saga.take(update, {"before": before, "facts": list(brand.facts)})
            outcome |= {"action": "updated", "before": before}
        else:
            result = as_result(there)
            outcome["action"] = "unchanged"
        saga.take(NoteLink(), {"brand_id": brand.id, "version": brand.version, "there": result})
        return outcome | {"external_id": result["external_id"]}

    def _find(self, brand: StoredBrand, link: ForeignBrand | None) -> ForeignBrand | None:
        """Returns the brand there: the linked one, or one of that name that nobody has linked."""
        if link is not None:
            return self.brand_system.find(link.external_id)
        with self.ledger.engine.connect() as connection:
            known = brands.load_sync_state(connection, WATERMARK, OVERLAP_SECONDS)
        since = known.read_until and known.read_until - timedelta(seconds=OVERLAP_SECONDS)
        name = fold_name(brand.name)
        namesakes = {
            each.external_id: each
            for each in self.brand_system.fetch_changed(since).brands
            if fold_name(each.name) == name
        }
        with self.ledger.engine.connect() as connection:
            linked = brands.linked_ids(connection, list(namesakes))
        return next((one for id_, one in sorted(namesakes.items()) if id_ not in linked), None)

    def _read(self, saga_id: str) -> StoredBrand | None:
        with self.ledger.engine.connect() as connection:
            (message,) = messages.load_claimed(connection, saga_id)
            return brands.load_brand(connection, str(loads(message.body)["brand_id"]))


def steps(brand_system: BrandSystem) -> Steps:
    """Returns the flow's steps, for recovery to find their undos."""
    taken = (CreateForeignBrand(brand_system), UpdateForeignBrand(brand_system), NoteLink())
    return {step.name: step for step in taken}


def _is_newer(there: ForeignBrand, link: ForeignBrand | None, brand: StoredBrand) -> bool:
    """Tells whether the other side has changed it since we agreed, and after we did."""
    changed_there = link is None or there.facts != link.facts
    return changed_there and there.updated_at > brand.updated_at


@contextmanager
def _refusal_named(brand: StoredBrand) -> Iterator[None]:
    """Has a refusal say which brand it is about and what to do."""
    try:
        yield
    except (Conflict, InvalidInput, NotFound, Refused) as error:
        raise type(error)(
            f"The brand system does not take {brand.name[:80]!r}; change it here, or have it "
            f"changed there: {error}"
        ) from error


def _end(connection: Connection, saga_id: str, outcome: JSON) -> None:
    noted = dict.fromkeys(messages.outcomes_of(connection, saga_id), outcome)
    messages.note_outcomes(connection, noted)
    messages.finish(connection, saga_id)
