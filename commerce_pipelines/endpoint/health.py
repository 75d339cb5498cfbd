"""Whether the endpoint is up, and whether it can do its work."""

from __future__ import annotations

from typing import Literal

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
    engine = resources.engine
    if not await resources.transactions.run(lambda: is_migrated(engine), STORE_SECONDS):
        raise Unavailable("The store is not migrated: run `commerce-pipelines migrate`.")
    return Health()
