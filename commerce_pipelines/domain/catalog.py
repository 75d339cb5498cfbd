"""A product as a feed describes it, and what makes two descriptions the same product.

A field that is absent is left as it is on an update; `null` clears it. A list
(`variants`, `options`, `images`, a variant's `prices`) is the whole list.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from slugify import slugify

from commerce_pipelines.domain.money import currency_code, unit_price
from commerce_pipelines.domain.strict_json import NoSuchArray
from commerce_pipelines.errors import InvalidInput

LONGEST_TITLE = 512
LONGEST_HANDLE = 255
MOST_VARIANTS = 1_000

_NO_NUL = r"^[^\x00]*$"
_HANDLE = r"^[\w.~-]+$"
_PATTERNS = {
    _NO_NUL: "contains a NUL character",
    _HANDLE: "may hold letters, digits and . _ ~ - only",
}
_ASCII_WORDS = re.compile(r"[a-z0-9]+")


def _number_to_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _storable(value: Any) -> Any:
    text = json.dumps(value, default=float, ensure_ascii=False)
    if "\\u0000" in text or "\x00" in text:
        raise ValueError("contains a NUL character")
    text.encode()
    return json.loads(text)


def _address(value: Any) -> Any:
    return value.get("url") if isinstance(value, dict) else value


Text = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=100_000)]
Title = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=LONGEST_TITLE, pattern=_NO_NUL
    ),
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=_NO_NUL),
]
Code = Annotated[Name, BeforeValidator(_number_to_text)]
Handle = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_HANDLE, pattern=_HANDLE)]
Address = Annotated[Text, BeforeValidator(_address)]
Status = Literal["draft", "proposed", "published", "rejected", "archived"]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Price(_Payload):
    """The price of one unit from a quantity on.

    Attributes:
        amount: In the currency's main unit (9.99 is nine euros and 99 cents).
    """

    amount: Annotated[Decimal, BeforeValidator(unit_price)]
    currency_code: Annotated[str, BeforeValidator(currency_code)]
    min_quantity: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1


class Option(_Payload):
    """Something to choose, and what there is to choose from."""

    title: Name
    values: list[Name] = Field(default_factory=list, max_length=1_000)


class Variant(_Payload):
    """One thing that can be bought."""

    external_id: Code | None = None
    sku: Code | None = None
    title: Name | None = None
    options: dict[Name, Name] | None = None
    prices: list[Price] | None = Field(None, max_length=1_000)
    manage_inventory: bool = True

    @property
    def key(self) -> str:
        """Returns what tells it from its siblings: external id, else SKU, else options."""
        if self.external_id:
            return f"external_id {self.external_id}"
        if self.sku:
            return f"sku {self.sku}"
        return f"options {sorted((self.options or {}).items())} {self.title or ''}"

    @property
    def shown_title(self) -> str:
        """Returns the title, made from the options where the feed gives none."""
        return self.title or " / ".join((self.options or {}).values()) or self.sku or "Default"


class BrandReference(_Payload):
    """A brand by its id in the brand system, by its name, or by both: then a known id counts."""

    name: Name | None = None
    external_id: Code | None = None

    @model_validator(mode="after")
    def _says_something(self) -> BrandReference:
        if self.name is None and self.external_id is None:
            raise ValueError("needs a name or an external_id")
        return self


_NAME: Final = TypeAdapter(Name)


# A union's own messages would name its members in the field's path.
def _brand(value: Any, union: ValidatorFunctionWrapHandler) -> str | BrandReference:
    del union
    if isinstance(value, dict):
        return BrandReference.model_validate(value)
    return value if isinstance(value, BrandReference) else _NAME.validate_python(value)


Brand = Annotated[
    str | BrandReference,
    WrapValidator(_brand, json_schema_input_type=Name | BrandReference),
]


class Product(_Payload):
    """A product as a PIM sends it; only the title is required."""

    title: Title
    description: Text | None = None
    external_id: Code | None = None
    handle: Handle | None = None
    sku: Code | None = None
    status: Status | None = None
    brand: Brand | None = None
    images: list[Address] | None = Field(None, max_length=250)
    options: list[Option] | None = Field(None, max_length=50)
    variants: list[Variant] | None = Field(None, max_length=MOST_VARIANTS)
    metadata: Annotated[dict[str, Any], BeforeValidator(_storable)] | None = None

    @model_validator(mode="after")
    def _nothing_twice(self) -> Product:
        _refuse_twice("options", [option.title for option in self.options or ()])
        _refuse_twice("variants", [variant.key for variant in self.variants or ()])
        skus = [variant.sku for variant in self.variants or () if variant.sku]
        _refuse_twice("variants", [f"sku {sku}" for sku in skus])
        for at, variant in enumerate(self.variants or ()):
            tiers = [f"{p.currency_code} from {p.min_quantity}" for p in variant.prices or ()]
            _refuse_twice(f"variants[{at}].prices", tiers)
        return self

    @property
    def given_handle(self) -> str:
        """Returns the feed's handle, or the one made from the title."""
        return self.handle or handle_from(self.title)

    @property
    def sold_as(self) -> list[Variant] | None:
        """Returns the variants; a product with only a SKU of its own is its one variant."""
        if self.variants is None and self.sku:
            return [Variant(sku=self.sku)]
        return self.variants


class Rejection(BaseModel):
    """Why one product of a list was not taken.

    Attributes:
        position: Where it stands in the list, from 0.
        field: The field at fault, `variants[0].prices[1].amount`; empty for the whole product.
    """

    position: int
    field: str
    reason: str


def parse_product(payload: Any, position: int) -> Product | Rejection:
    """Reads one product of a feed; what is wrong with it is told, not raised."""
    if not isinstance(payload, dict):
        return Rejection(position=position, field="", reason="is not an object")
    try:
        return Product.model_validate(payload)
    except ValidationError as error:
        field, reason = first_fault(error)
        return Rejection(position=position, field=field, reason=reason)


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Returns the field at fault, empty for the whole, and the reason."""
    first = error.errors(include_url=False, include_input=False)[0]
    pattern = first.get("ctx", {}).get("pattern", "")
    reason = _PATTERNS.get(pattern) or first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_too_short":
        reason += " that is not a space"
    field = _path(first["loc"])
    if not field and ": " in reason:
        field, reason = reason.split(": ", 1)
    return field, reason


def products_of(payload: Any) -> list[Any]:
    """Returns the list inside a feed's body: an array, or `{"products": [...]}`.

    Raises:
        InvalidInput: It is neither array nor object.
        NoSuchArray: It is an object without such an array.
    """
    if isinstance(payload, list):
        return payload
    expectation = 'Expected an array of products, or {"products": [...]}.'
    if not isinstance(payload, dict):
        raise InvalidInput(expectation)
    products = payload.get("products")
    if not isinstance(products, list):
        raise NoSuchArray(expectation)
    return products


def handle_from(title: str) -> str:
    """Makes a handle from a title: lower case, ASCII, words joined by hyphens."""
    if title.isascii():
        handle = "-".join(_ASCII_WORDS.findall(title.lower().replace("'", "")))
    else:
        handle = slugify(title)
    handle = handle[:LONGEST_HANDLE].rstrip("-")
    return handle or "product-" + "".join(f"{ord(character):x}" for character in title)[:32]


def fold_name(name: str) -> str:
    """Folds case, accents and spaces away, so that two spellings of one name are equal."""
    return slugify(name, allow_unicode=False, separator=" ") or " ".join(name.casefold().split())


def _refuse_twice(field: str, keys: list[str]) -> None:
    if len(set(keys)) != len(keys):
        seen: set[str] = set()
        for at, key in enumerate(keys):
            if key in seen:
                raise ValueError(f"{field}[{at}]: {key} appears twice")
            seen.add(key)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    # A name that the feed chose may hold what neither a log nor the store takes.
    return "".join(each if each.isprintable() else "\ufffd" for each in path.removeprefix("."))
