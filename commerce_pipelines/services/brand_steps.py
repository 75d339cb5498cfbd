"""The brand system's half of a push: create a brand there or change it, and take it back.

A creation is recognised by its idempotency key: sent again, it answers which
brand it made. A change is for the version that was seen; after any other change it
is refused, so what is ours is what still reads as we wrote it. So a doubt about either
is cleared up by sending it again, and a late one has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.domain.brands import BrandFacts, ForeignBrand
from commerce_pipelines.errors import Conflict, NotFound, Refused, Unknown
from commerce_pipelines.saga.step import JSON, ExternalStep, Undo

MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class CreateForeignBrand(ExternalStep):
    """Creates a brand there. The plan holds its `facts`."""

    name = "brands.create_brand"
    settle_seconds = 240.0
    seals = True
    brand_system: BrandSystem

    def act(self, plan: JSON, key: str) -> JSON:
        """Creates it once for the key."""
        facts = BrandFacts(*plan["facts"])
        return as_result(
            self.brand_system.create(facts.name, facts.description, facts.logo_url, key)
        )

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Sends it again: whichever comes first makes the brand, the other answers with it."""
        try:
            return self.act(plan, key)
        except Refused:
            return None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Deletes it, unless somebody has changed it there."""
        del plan, key
        made = from_result(result)
        try:
            deleted = self.brand_system.delete(made.external_id, made.updated_at)
        except Conflict:
            return Undo(superseded=True, report={"changed_there": made.external_id})
        return Undo(report={"deleted": int(deleted)})


@dataclass(frozen=True)
class UpdateForeignBrand(ExternalStep):
    """Changes a brand there. The plan holds `before`, as a result, and the new `facts`."""

    name = "brands.update_brand"
    settle_seconds = 240.0
    seals = True
    brand_system: BrandSystem

    def act(self, plan: JSON, key: str) -> JSON:
        """Changes it, unless somebody else has since it was read.

        Raises:
            Conflict: Somebody has.
        """
        del key
        before = from_result(plan["before"])
        try:
            changed = self.brand_system.update(
                before.external_id, BrandFacts(*plan["facts"])._asdict(), before.updated_at
            )
        except Conflict:
            # It may be the same request, sent before, that has changed it.
            found = self.brand_system.find(before.external_id)
            if found is None or found.facts != BrandFacts(*plan["facts"]):
                raise
            return as_result(found)
        return as_result(changed)

    def look(self, plan: JSON, key: str) -> JSON | None:
        """Sends it again: whichever comes first makes the change, the other is refused."""
        try:
            return self.act(plan, key)
        except (Conflict, NotFound, Refused):
            return None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        """Puts back what it said before, where it still says what we wrote.

        Raises:
            Unknown: It changes faster than it can be put back.
        """
        del result, key
        before = from_result(plan["before"])
        for _ in range(MOST_ATTEMPTS):
            now = self.brand_system.find(before.external_id)
            if now is None or now.facts == before.facts:
                return Undo(report={"restored": 0})
            if now.facts != BrandFacts(*plan["facts"]):
                return Undo(superseded=True, report={"changed_there": before.external_id})
            try:
                self.brand_system.update(now.external_id, before.facts._asdict(), now.updated_at)
            except Conflict:
                continue
            return Undo(report={"restored": 1})
        raise Unknown(f"Brand {before.external_id} changes faster than it can be restored.")


def as_result(brand: ForeignBrand) -> JSON:
    """Returns a brand as the ledger keeps it."""
    return {
        "external_id": brand.external_id,
        "facts": list(brand.facts),
        "updated_at": brand.updated_at.isoformat(),
    }


def from_result(result: JSON) -> ForeignBrand:
    """Returns the brand that the ledger kept."""
    facts = BrandFacts(*result["facts"])
    return ForeignBrand(
        external_id=result["external_id"],
        updated_at=datetime.fromisoformat(result["updated_at"]),
        **facts._asdict(),
    )
