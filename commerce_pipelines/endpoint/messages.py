"""Messages: what became of a delivery."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from commerce_pipelines.domain.catalog import Rejection
from commerce_pipelines.endpoint.problems import documented
from commerce_pipelines.endpoint.resources import Opened, Resources
from commerce_pipelines.errors import NotFound
from commerce_pipelines.store.message_reads import MOST_LISTED, Delivery, load_delivery

LARGEST_ID = 2**63 - 1

router = APIRouter(tags=["messages"])


class _Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Accepted(_Shape):
    """It is stored, and will be worked on."""

    id: int
    location: str = Field(description="Where to ask what became of it.")

    @classmethod
    def of(cls, message_id: int) -> Accepted:
        """Returns the answer for a stored message."""
        return cls(id=message_id, location=f"/messages/{message_id}")


class Outcome(_Shape):
    """What became of the products of the finished parts."""

    created: int
    updated: int
    unchanged: int
    rejected_count: int
    rejected: list[Rejection] = Field(
        description=f"The first {MOST_LISTED}; positions are those of the whole list."
    )
    product_count: int
    products: list[str] = Field(description=f"The ids of the first {MOST_LISTED}, in order.")


class Message(_Shape):
    """A delivery, whole, however many parts it was cut into."""

    id: int
    source: str
    topic: str
    state: str = Field(description="`new`, `claimed`, `done` or `dead`.")
    tries: int
    received_at: datetime
    finished_at: datetime | None
    saga_id: str | None
    run_id: str | None
    run_url: str | None = Field(None, description="The run in Dagster's UI.")
    last_error: str | None
    parts: int
    item_count: int
    outcome: Outcome | None


@router.get("/messages/{message_id}", responses=documented(404, 422, 503))
async def show_message(
    message_id: Annotated[int, Path(ge=1, le=LARGEST_ID)], resources: Opened
) -> Message:
    """Says in which state a message is, who works on it, and what came of it."""
    delivery = await find_delivery(resources, message_id)
    message = Message.model_validate(delivery)
    if resources.dagster_url and message.run_id:
        message.run_url = f"{resources.dagster_url.rstrip('/')}/runs/{message.run_id}"
    return message


async def find_delivery(resources: Resources, message_id: int) -> Delivery:
    """Returns a delivery.

    Raises:
        NotFound: There is none.
    """
    delivery = await resources.transact(lambda connection: load_delivery(connection, message_id))
    if delivery is None:
        raise NotFound(f"There is no message {message_id}.")
    return delivery
