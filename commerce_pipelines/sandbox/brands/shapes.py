"""The shapes that the brand system takes and gives, as its OpenAPI describes them.

Belongs here: fields, their limits and meaning. Does not belong here: what is done
with them.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# A system of its own, with limits of its own: longer ones than others may be able to take.
MAX_NAME_CHARACTERS = 1_000
MAX_TEXT_CHARACTERS = 10_000

_NAME = "What it is called; need not be unique, and nobody checks that it says anything."
_DESCRIPTION = "A text about it."
_LOGO_URL = "Address of its logo; nobody checks that it is one."


class BrandModel(BaseModel):
    """A brand."""

    id: str = Field(description="Given by this system, never used again.")
    name: str = Field(description=_NAME)
    description: str | None = Field(description=_DESCRIPTION)
    logo_url: str | None = Field(description=_LOGO_URL)
    created_at: str = Field(description="ISO 8601, UTC, with microseconds.")
    updated_at: str = Field(
        description="ISO 8601, UTC, with microseconds; later with each change of any brand, so it "
        "is the brand's version too."
    )


class PageModel(BaseModel):
    """A part of the list."""

    brands: list[BrandModel] = Field(description="Ordered by updated_at, then id.")
    next_cursor: str | None = Field(description="Where the list goes on; null at its end.")
    total: int = Field(description="How many brands there are now, whatever was asked for.")


class NewBrand(BaseModel):
    """A brand to be created."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=MAX_NAME_CHARACTERS, description=_NAME)
    description: str | None = Field(None, max_length=MAX_TEXT_CHARACTERS, description=_DESCRIPTION)
    logo_url: str | None = Field(None, max_length=MAX_TEXT_CHARACTERS, description=_LOGO_URL)


class BrandChange(BaseModel):
    """New values of a brand; what is absent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        None, max_length=MAX_NAME_CHARACTERS, description=_NAME + " Cannot be null."
    )
    description: str | None = Field(
        None, max_length=MAX_TEXT_CHARACTERS, description=_DESCRIPTION + " Null removes it."
    )
    logo_url: str | None = Field(
        None, max_length=MAX_TEXT_CHARACTERS, description=_LOGO_URL + " Null removes it."
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("there is nothing to change")
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("name cannot be null")
        return self
