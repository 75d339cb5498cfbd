"""Brands: what is said of one, here and by another system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from commerce_pipelines.domain.catalog import Name, Text

# The brand system takes no longer ones.
_ShortText = Annotated[Text, Field(max_length=10_000)]

_NAME = "Case, accents and spaces do not make another brand."


class BrandFacts(NamedTuple):
    """What both sides say of a brand."""

    name: str
    description: str | None = None
    logo_url: str | None = None


@dataclass(frozen=True)
class ForeignBrand:
    """A brand as another system has it.

    Attributes:
        external_id: Its id there.
        updated_at: When it was last changed there, aware.
    """

    external_id: str
    name: str
    description: str | None
    logo_url: str | None
    updated_at: datetime

    @property
    def facts(self) -> BrandFacts:
        """Returns what it says."""
        return BrandFacts(self.name, self.description, self.logo_url)


class BrandChanges(BaseModel):
    """What the store's people want changed; what is absent stays, null clears."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(default_factory=str, description=_NAME)
    description: _ShortText | None = None
    logo_url: _ShortText | None = Field(None, description="Address of its logo.")

    def over(self, known: BrandFacts) -> BrandFacts:
        """Returns what a brand says after these changes."""
        return known._replace(**self.model_dump(exclude_unset=True))


class WantedBrand(BrandChanges):
    """A brand as the store's people want it."""

    name: Name = Field(description=_NAME)

    @property
    def facts(self) -> BrandFacts:
        """Returns what it says."""
        return BrandFacts(self.name, self.description, self.logo_url)


class StoredBrand(BaseModel):
    """A brand as the store shows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    description: str | None
    logo_url: str | None
    external_ids: list[str] = Field(description="Its ids in the brand system.")
    gone_at: datetime | None = Field(description="Since when the brand system no longer has it.")
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def facts(self) -> BrandFacts:
        """Returns what it says."""
        return BrandFacts(self.name, self.description, self.logo_url)
