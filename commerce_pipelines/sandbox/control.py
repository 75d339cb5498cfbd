"""The HTTP interface by which tests and demonstrations script the sandbox, `/faults`.

Belongs here: asking for faults, ending them, looking at the record, resetting
the systems. Does not belong here: anything an imitated system has itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fastapi import APIRouter, HTTPException

from commerce_pipelines.sandbox.faults import Fault, FaultRequest, Faults
from commerce_pipelines.sandbox.gate import CONTROL_PREFIX
from commerce_pipelines.sandbox.record import Record


class ControlRoutes:
    """The routes.

    Args:
        faults: The script.
        record: What is shown as effects and requests.
        systems: Names that a fault may be for.
        reset: Makes every system forget its state.
    """

    def __init__(
        self, faults: Faults, record: Record, systems: Collection[str], reset: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._record = record
        self._systems = systems
        self._reset = reset

    def router(self) -> APIRouter:
        """Returns the routes."""
        router = APIRouter(prefix=CONTROL_PREFIX, tags=["faults"])
        add = router.add_api_route
        add("", self.add, methods=["POST"], status_code=201)
        add("", self.listed, methods=["GET"])
        add("", self.clear, methods=["DELETE"])
        add("/effects", self.effects, methods=["GET"])
        add("/requests", self.requests, methods=["GET"])
        add("/requests", self.forget, methods=["DELETE"])
        add("/effects", self.forget, methods=["DELETE"])
        add("/state", self.reset_state, methods=["DELETE"])
        add("/{fault_id}", self.clear_one, methods=["DELETE"])
        return router

    async def add(self, request: FaultRequest) -> Fault:
        """Puts a fault into force."""
        if request.system is not None and request.system not in self._systems:
            raise HTTPException(422, f"system must be one of {', '.join(sorted(self._systems))}")
        return self._faults.add(request)

    async def listed(self) -> list[Fault]:
        """Lists all faults, with how often each has shown."""
        return self._faults.listed()

    async def clear(self) -> dict[str, int]:
        """Ends all faults."""
        return {"cleared": self._faults.clear()}

    async def effects(self, system: str | None = None) -> list[dict[str, Any]]:
        """Lists the requests that changed something, oldest first."""
        return self._record.effects(system)

    async def requests(self) -> list[dict[str, Any]]:
        """Counts requests by route and status; status 0 is no answer."""
        return self._record.requests()

    async def forget(self) -> dict[str, bool]:
        """Forgets effects and counts."""
        self._record.clear()
        return {"cleared": True}

    async def reset_state(self) -> dict[str, bool]:
        """Makes every system forget its documents and changes."""
        self._reset()
        return {"reset": True}

    async def clear_one(self, fault_id: int) -> dict[str, int]:
        """Ends one fault."""
        return {"cleared": self._faults.clear(fault_id)}
