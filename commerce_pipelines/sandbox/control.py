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


def control_router(
    faults: Faults, record: Record, systems: Collection[str], reset: Callable[[], None]
) -> APIRouter:
    """Returns the routes.

    Args:
        faults: The script.
        record: What is shown as effects and requests.
        systems: Names that a fault may be for.
        reset: Makes every system forget its state.
    """
    router = APIRouter(prefix=CONTROL_PREFIX, tags=["faults"])

    @router.post("", status_code=201)
    async def add(request: FaultRequest) -> Fault:
        """Puts a fault into force."""
        if request.system is not None and request.system not in systems:
            raise HTTPException(422, f"system must be one of {', '.join(sorted(systems))}")
        return faults.add(request)

    @router.get("")
    async def listed() -> list[Fault]:
        """Lists all faults, with how often each has shown."""
        return faults.listed()

    @router.delete("")
    async def clear() -> dict[str, int]:
        """Ends all faults."""
        return {"cleared": faults.clear()}

    @router.get("/effects")
    async def effects(system: str | None = None) -> list[dict[str, Any]]:
        """Lists the requests that changed something, oldest first."""
        return record.effects(system)

    @router.get("/requests")
    async def requests() -> list[dict[str, Any]]:
        """Counts requests by route and status; status 0 is no answer."""
        return record.requests()

    @router.delete("/effects")
    @router.delete("/requests")
    async def forget() -> dict[str, bool]:
        """Forgets effects and counts."""
        record.clear()
        return {"cleared": True}

    @router.delete("/state")
    async def reset_state() -> dict[str, bool]:
        """Makes every system forget its documents and changes."""
        reset()
        return {"reset": True}

    @router.delete("/{fault_id}")
    async def clear_one(fault_id: int) -> dict[str, int]:
        """Ends one fault."""
        return {"cleared": faults.clear(fault_id)}

    return router
