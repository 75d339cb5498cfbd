"""A product as the ERP has it, and what of it may be changed there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ErpVariant:
    """A variant in the ERP.

    Attributes:
        external_id: Its id there; None for one that is to be added.
        title: What tells it from its siblings.
        options: What was chosen, by option; in the ERP's order.
    """

    external_id: str | None
    sku: str | None
    title: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ErpDetails:
    """What may be changed of a product in the ERP.

    Attributes:
        variants: The whole list: what is missing from it is removed from sale there.
    """

    title: str
    description: str | None
    variants: tuple[ErpVariant, ...]


@dataclass(frozen=True, slots=True)
class ErpProduct:
    """A product as the ERP has it.

    Attributes:
        external_id: Its id there.
        is_active: Whether it is still sold.
        changed_at: When it or one of its variants was last changed there, aware.
        revision: Changes with every change, of the product or a variant; None where the
            ERP has no such thing.
    """

    external_id: str
    details: ErpDetails
    is_active: bool
    changed_at: datetime
    revision: str | None
