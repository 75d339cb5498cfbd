"""What somebody wants changed of a product, here and in the ERP.

Belongs here: the shape of the wish, and what it makes of the ERP's product. Does not
belong here: what a feed says (`catalog`). Absent fields stay as they are; a list is
the whole list.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from commerce_pipelines.domain.catalog import MOST_VARIANTS, Code, Name, Text, Title, Variant
from commerce_pipelines.domain.erp_products import ErpDetails, ErpVariant

_STRICT = ConfigDict(frozen=True, extra="forbid")


class OptionChanges(BaseModel):
    """Something to choose, and what there is to choose from."""

    model_config = _STRICT

    title: Name
    values: list[Name] = Field(default_factory=list, max_length=1_000)


class VariantChanges(BaseModel):
    """A variant as it shall be."""

    model_config = _STRICT

    id: Name | None = Field(None, description="The store's id; absent for a new variant.")
    sku: Code | None = None
    title: Name | None = None
    options: dict[Name, Name] | None = None

    @property
    def shown_title(self) -> str:
        """Returns the title of a new one, made from its options where none is given."""
        return Variant(sku=self.sku, title=self.title, options=self.options).shown_title

    def over(self, known: ErpVariant) -> ErpVariant:
        """Returns a variant of the ERP with these changes."""
        return replace(
            known,
            sku=self.sku if "sku" in self.model_fields_set else known.sku,
            title=self.title or known.title,
            options=known.options if self.options is None else tuple(self.options.items()),
        )


class ProductChanges(BaseModel):
    """What shall be changed of a product."""

    model_config = _STRICT

    title: Annotated[Title | None, Field(description="Null leaves it as it is.")] = None
    description: Text | None = Field(None, description="Null clears it.")
    options: list[OptionChanges] | None = Field(None, max_length=50)
    variants: list[VariantChanges] | None = Field(
        None,
        max_length=MOST_VARIANTS,
        description="The whole list: one that is missing is removed, one without an id is new.",
    )

    @model_validator(mode="after")
    def _is_clear(self) -> ProductChanges:
        if not self.model_fields_set:
            raise ValueError("says nothing to change")
        _refuse_twice("options", [option.title for option in self.options or ()])
        _refuse_twice("variants", [each.id for each in self.variants or () if each.id])
        _refuse_twice("variants", [each.sku for each in self.variants or () if each.sku])
        return self

    def over(
        self, known: ErpDetails, here: Sequence[ErpVariant], removed: Collection[str]
    ) -> ErpDetails:
        """Returns the ERP's product with these changes.

        Args:
            known: As it is there. Its variants that the store does not know stay.
            here: The listed variants as the store has them now, with their ids there.
            removed: The ids there of variants that the store has no longer.
        """
        variants = known.variants
        if self.variants is not None:
            there: dict[str | None, ErpVariant | None] = {
                each.external_id: each for each in known.variants
            }
            wanted = [
                each.over(there.pop(one.external_id, None) or replace(one, external_id=None))
                for each, one in zip(self.variants, here, strict=True)
            ]
            rest = [each for id_, each in there.items() if each and id_ not in removed]
            variants = (*wanted, *rest)
        return ErpDetails(
            title=self.title or known.title,
            description=self.description
            if "description" in self.model_fields_set
            else known.description,
            variants=variants,
        )


def _refuse_twice(field: str, names: list[str]) -> None:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise ValueError(f"{field}: {twice} appears twice")
