"""The brands that the brand system has from the start.

Belongs here: the sample or another file, and the moments of its brands. Does not
belong here: changes. Names are taken as they are, also where they say nothing or
are none: a real system's are not checked either.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.moments import moment_text

Brand = dict[str, Any]

# The same at each start, so that a reset brings back the very same brands.
_FIRST_CHANGE = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
_BETWEEN_CHANGES = timedelta(hours=7, microseconds=421)


def load_seeds(seed: Path | None) -> list[Brand]:
    """Returns the first brands, in the order of their `updated_at`.

    Args:
        seed: JSON file, an object with an array under `brands`; the sample if there is
            none in it. A brand there needs no field: ids and moments are filled in.

    Raises:
        ConfigurationError: The file cannot be read, or holds brands that are none.
    """
    try:
        content = None if seed is None else json.loads(seed.read_text(encoding="utf-8"))
        given = content.get("brands") if isinstance(content, dict) else None
        listed = _sample() if given is None else given
        brands = [_planted(brand, at) for at, brand in enumerate(listed)]
        brands.sort(key=lambda brand: (brand["updated_at"], brand["id"]))
    except (OSError, ValueError, TypeError) as problem:
        raise ConfigurationError(f"Cannot read the brands in {seed}: {problem}") from problem
    if len({brand["id"] for brand in brands}) != len(brands):
        raise ConfigurationError(f"Two brands in {seed} have one id")
    return brands


def _planted(brand: Brand, position: int) -> Brand:
    usual = {"id": f"b_seed{position + 1:04}", "name": None, "description": None, "logo_url": None}
    changed = _FIRST_CHANGE + position * _BETWEEN_CHANGES
    if "updated_at" in brand:
        changed = datetime.fromisoformat(brand["updated_at"])
    moment = moment_text(changed)
    return {**usual, "created_at": moment, **brand, "updated_at": moment}


def _sample() -> list[Brand]:
    text = resources.files(__package__).joinpath("brands.json").read_text(encoding="utf-8")
    listed: list[Brand] = json.loads(text)
    return listed
