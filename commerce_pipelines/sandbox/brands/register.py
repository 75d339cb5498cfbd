"""The brands of the brand system, in memory and, on request, in the state file.

Belongs here: brands in the order of their changes, the answers to repeated
requests. Does not belong here: where the first brands come from (`seeds.py`), HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from commerce_pipelines.sandbox.brands.seeds import Brand
from commerce_pipelines.sandbox.moments import later_than, moment_text
from commerce_pipelines.sandbox.state_file import StateFile

_BRANDS, _CREATED, _CLOCK = "brands/brand", "brands/created", "brands/clock"
_LATEST = "latest"


class Register:
    """All brands; whoever changed last stands last.

    Args:
        state: Where it survives a restart.
        seeds: The brands of a new register, in the order of their `updated_at`.
        clock: The time of day.
    """

    def __init__(
        self,
        state: StateFile,
        seeds: Sequence[Brand],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = state
        self._seeds = seeds
        self._clock = clock
        # By idempotency key: what was asked for, and the brand that came of it.
        self._created: dict[str, dict[str, Any]] = state.load(_CREATED)
        self._latest: str = state.load(_CLOCK).get(_LATEST, "")
        kept: list[Brand] = list(state.load(_BRANDS).values())
        self._brands = _by_id(sorted(kept, key=_place))
        if not self._latest:
            self._plant()

    def __len__(self) -> int:
        return len(self._brands)

    def changed(self, since: datetime | None) -> list[Brand]:
        """Returns the brands changed at a moment or later, the last change last."""
        if since is None:
            return list(self._brands.values())
        earliest = moment_text(since)
        return [brand for brand in self._brands.values() if brand["updated_at"] >= earliest]

    def get(self, brand_id: str) -> Brand | None:
        """Returns one brand."""
        return self._brands.get(brand_id)

    def created(self, key: str) -> tuple[dict[str, Any], Brand] | None:
        """Returns what an idempotency key came with and the brand as it was made then."""
        known = self._created.get(key)
        return None if known is None else (known["asked"], known["brand"])

    def create(self, key: str, asked: dict[str, Any]) -> Brand:
        """Adds a brand and remembers the key it was asked for under."""
        now = self._now()
        brand = {"id": f"b_{secrets.token_hex(6)}", **asked, "created_at": now, "updated_at": now}
        self._keep(brand["id"], brand, {_CREATED: {key: {"asked": asked, "brand": brand}}})
        self._created[key] = {"asked": asked, "brand": brand}
        return brand

    def change(self, brand_id: str, changes: Mapping[str, Any]) -> Brand:
        """Replaces some fields of a brand; also the same values again are a change."""
        brand = {**self._brands[brand_id], **changes, "updated_at": self._now()}
        self._keep(brand_id, brand)
        return brand

    def delete(self, brand_id: str) -> None:
        """Removes a brand; nothing is left of it."""
        self._keep(brand_id, None)

    def reset(self) -> None:
        """Goes back to the first brands."""
        self._state.clear(_BRANDS, _CREATED, _CLOCK)
        self._created.clear()
        self._plant()

    def _plant(self) -> None:
        self._brands = _by_id(self._seeds)
        self._latest = max((brand["updated_at"] for brand in self._seeds), default=self._now())
        self._state.save({_BRANDS: self._brands, _CLOCK: {_LATEST: self._latest}})

    def _keep(
        self,
        brand_id: str,
        brand: Brand | None,
        more: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Makes a brand the current one, durably first; None removes it."""
        latest = self._latest if brand is None else brand["updated_at"]
        written: dict[str, Mapping[str, Any]] = {
            _BRANDS: {brand_id: brand},
            _CLOCK: {_LATEST: latest},
        }
        self._state.save(written | dict(more or {}))
        self._latest = latest
        self._brands.pop(brand_id, None)
        if brand is not None:
            self._brands[brand_id] = brand

    def _now(self) -> str:
        """Returns the moment of a change: later than every earlier one."""
        return later_than(self._latest, self._clock())


def _place(brand: Brand) -> tuple[str, str]:
    return brand["updated_at"], brand["id"]


def _by_id(brands: Sequence[Brand]) -> dict[str, Brand]:
    return {brand["id"]: brand for brand in brands}
