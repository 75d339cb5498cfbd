"""Whether the endpoint is up, and whether it can do its work."""

from __future__ import annotations

from typing import Literal

from anyio import fail_after, to_thread
from fastapi import APIRouter
from pydantic import BaseModel

from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import STORE_SECONDS, Opened
from commerce_pipelines.errors import Unavailable
from commerce_pipelines.store.schema import is_migrated

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """It is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def is_alive() -> Health:
    """Answers as long as the endpoint runs, also without the store."""
    return Health()


@router.get("/readyz", responses=documented(503))
async def is_ready(resources: Opened) -> Health:
    """Answers when the store is reachable and has the newest schema."""
    try:
        with fail_after(STORE_SECONDS):
            ready = await to_thread.run_sync(is_migrated, resources.engine, abandon_on_cancel=True)
    except TimeoutError as error:
        raise Unavailable("The store does not answer.") from error
    if not ready:
        raise Unavailable("The store is not migrated: run `commerce-pipelines migrate`.")
    return Health()
