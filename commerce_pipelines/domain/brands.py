"""Brands: what makes two spellings one brand, and what the other side says of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
