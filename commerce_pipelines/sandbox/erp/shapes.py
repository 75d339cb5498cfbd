"""The products, prices and stock that the reference contract takes and gives.

Belongs here: fields, their limits and meaning, as the OpenAPI document describes
them. Does not belong here: orders (`order_shapes`), and what is done with them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_AT_ONCE = 1_000
MOST_A_PAGE = 500
MAX_TEXT_CHARACTERS = 10_000

Id = Annotated[str, Field(min_length=1, max_length=255)]
Moment = Annotated[
    str, Field(description="ISO 8601 in UTC, with microseconds.", examples=["2026-01-31T08:00:00Z"])
]
Money = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,12}(\.[0-9]{1,4})?$",
        description="In the currency's main unit: decimal text with at most four decimals.",
        examples=["12.9975"],
    ),
]
CurrencyCode = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"])
]
AsOf = Annotated[str, Field(description="All that was committed before is in here; ISO 8601, UTC.")]
Ids = Annotated[list[Id], Field(max_length=MOST_AT_ONCE, description="Variants by id.")]


class Taken(BaseModel):
    """What may be in a request."""

    model_config = ConfigDict(extra="forbid")


class OptionModel(Taken):
    """One choice that makes a variant."""

    name: str = Field(max_length=255, examples=["Size"])
    value: str = Field(max_length=255, examples=["M"])


class VariantModel(Taken):
    """A variant that is on sale."""

    id: Id | None = Field(description="Null only in a request, for one that is to be added.")
    sku: str | None = Field(max_length=255)
    title: str = Field(max_length=MAX_TEXT_CHARACTERS)
    options: list[OptionModel] = Field(description="In the order they are shown in.")


class ProductModel(BaseModel):
    """A product with its variants."""

    id: Id = Field(description="Never used again.")
    title: str
    description: str | None
    active: bool = Field(description="Whether it is still sold.")
    variants: list[VariantModel]
    changed_at: Moment = Field(
        description="When it or one of its variants was last changed. It may be seen up to five "
        "minutes later than that, so readers go back by as much."
    )
    revision: str = Field(description="Another one after each change of it or a variant.")


class ProductPage(BaseModel):
    """A part of the list of products."""

    products: list[ProductModel] = Field(
        description="Ordered by changed_at; what changes meanwhile moves to the end. Deactivated "
        "ones are told of, deleted ones are not."
    )
    next_cursor: str | None = Field(description="Where the list goes on; null at its end.")
    as_of: AsOf


class ProductChange(Taken):
    """All that may be changed of a product; every field is needed."""

    title: str = Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)
    description: str | None = Field(max_length=MAX_TEXT_CHARACTERS)
    variants: list[VariantModel] = Field(
        max_length=MOST_AT_ONCE,
        description="The whole list. One with a null id is added; one with an id is changed, and "
        "put back on sale if it was removed; one that is missing is removed from sale.",
    )


class PriceQuery(Taken):
    """Asks for the prices of variants."""

    variants: Ids
    currency_code: CurrencyCode
    customer_group: str = Field("", max_length=255, description="Empty: of no group.")


class TierModel(BaseModel):
    """The price of one unit from a quantity on."""

    min_quantity: int = Field(ge=1)
    amount: Money


class PriceModel(BaseModel):
    """The prices of one variant."""

    variant: Id
    tiers: list[TierModel] | None = Field(
        description="From min_quantity 1 on; null: not for sale to this group in this currency."
    )


class PriceAnswer(BaseModel):
    """Prices; a variant that is missing is not for sale."""

    as_of: AsOf
    prices: list[PriceModel]


class StockQuery(Taken):
    """Asks for the stock of variants."""

    variants: Ids


class StockModel(BaseModel):
    """What can be sold of one variant."""

    variant: Id
    available: str = Field(
        pattern=r"^-?[0-9]{1,9}(\.[0-9]+)?$",
        description="Decimal text; negative where more was sold than there is.",
        examples=["12"],
    )
    allows_out_of_stock: bool = Field(description="Whether it may be ordered beyond that.")


class StockAnswer(BaseModel):
    """Stock; a variant that is unknown is missing."""

    as_of: AsOf
    stock: list[StockModel]


class RuleQuery(Taken):
    """Asks who may not buy what."""

    companies: list[Id] = Field(max_length=MOST_AT_ONCE, description="Companies by name.")
    variants: Ids


class RuleModel(BaseModel):
    """One company that may not buy one variant."""

    company: str = Field(description="As asked for.")
    variant: Id


class RuleAnswer(BaseModel):
    """What is forbidden; all else is allowed."""

    as_of: AsOf
    forbidden: list[RuleModel]


class CompanyQuery(Taken):
    """Asks for companies."""

    names: list[Id] = Field(
        max_length=MOST_AT_ONCE,
        description="Case, accents and spaces do not make another company.",
    )


class CompanyModel(BaseModel):
    """A company."""

    name: str = Field(description="As asked for.")
    customer_group: str = Field(description="Whose prices it pays; empty: everybody's.")


class CompanyAnswer(BaseModel):
    """Companies; one that is unknown is missing."""

    companies: list[CompanyModel]
