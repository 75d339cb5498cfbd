"""`POST /store/products/{id}/erp`: a product's change here and in the ERP, answered when done.

Belongs here: the request, the waiting, and what came of it in words. Does not belong
here: making the change, for which the request leaves a message.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from commerce_pipelines.domain.product_changes import ProductChanges
from commerce_pipelines.domain.stored import StoredProduct
from commerce_pipelines.endpoint.bodies import BodyLimits
from commerce_pipelines.endpoint.messages import Accepted
from commerce_pipelines.endpoint.preferences import (
    IDEMPOTENCY_KEY,
    PREFER,
    WAIT_SECONDS,
    patience_seconds,
    preferences,
)
from commerce_pipelines.endpoint.problems import (
    RETRY_AFTER_SECONDS,
    ProblemError,
    documented,
)
from commerce_pipelines.endpoint.resources import Opened, Resources
from commerce_pipelines.endpoint.wishes import Wish, read_wish
from commerce_pipelines.errors import InvalidInput
from commerce_pipelines.services.product_update import ask
from commerce_pipelines.services.product_update_report import Ended, load_ended
from commerce_pipelines.store.catalog import load_product
from commerce_pipelines.store.idempotency import (
    Answer,
    keep_and_commit,
    note_delivery,
    wait_for_others,
)
from commerce_pipelines.store.messages import Receipt

LIMITS = BodyLimits(most_bytes=1024 * 1024, seconds=10.0)
# How often it is asked whether a failed change has been undone.
PAUSE_SECONDS = 0.1
# An import keeps other writers out while it stores a page.
ASK_SECONDS = 10.0

# Ids hold nothing else, and the store takes no NUL.
_ID_PATTERN = r"^[\x20-\x7e]*$"

# What is not here may pass: 503.
_STATUS: Final = {
    "InvalidInput": 422,
    "NotFound": 409,
    "Conflict": 409,
    "NeedsPerson": 409,
    "Refused": 502,
    "Unauthorised": 502,
}

router = APIRouter(prefix="/store/products", tags=["store"])


class ErpVariantShown(BaseModel):
    """A variant as the ERP has it."""

    external_id: str
    sku: str | None
    title: str
    options: dict[str, str]


class ErpProductShown(BaseModel):
    """A product as the ERP has it."""

    external_id: str
    title: str
    description: str | None
    variants: list[ErpVariantShown]
    is_active: bool
    changed_at: datetime
    revision: str | None


class UpdatedProduct(BaseModel):
    """A product on both sides after its change."""

    product: StoredProduct
    erp: ErpProductShown


@router.post(
    "/{product_id}/erp",
    responses={
        202: {
            "model": Accepted,
            "description": "Stored: asked for by `Prefer: respond-async`, or not finished within "
            f"{WAIT_SECONDS:g} seconds.",
        },
        **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 502, 503),
    },
    response_model=UpdatedProduct,
    openapi_extra={
        "parameters": [
            PREFER,
            {**IDEMPOTENCY_KEY, "description": "Names the change: sent again, it is made once."},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ProductChanges"},
                    "examples": {"title": {"value": {"title": "Mug, large"}}},
                }
            },
        },
    },
)
async def update(
    product_id: Annotated[str, Path(max_length=255, pattern=_ID_PATTERN)],
    request: Request,
    resources: Opened,
) -> Response:
    """Changes a product in the store and in the ERP, in both or in neither.

    What is absent stays as it is. One change of a product at a time: another one waits. Where
    it fails, the answer says what was undone. Signed as a webhook, unless the endpoint takes
    unsigned requests from this machine.
    """
    wish = await read_wish(request, resources, ProductChanges, limits=LIMITS)
    resources.door.check_open()
    try:
        receipt = await resources.transact(
            lambda store: _asked(store, product_id, wish), ASK_SECONDS
        )
    except InvalidInput as error:
        raise ProblemError(422, str(error)) from error
    if receipt.differs:
        raise ProblemError(422, "The key was here before with another change, which counts.")
    (message_id,) = receipt.message_ids
    resources.updates.wake()
    preferred = preferences(request)
    if "respond-async" in preferred:
        return _accepted(message_id, {"Preference-Applied": "respond-async"})
    return await _finished(resources, message_id, patience_seconds(preferred))


def _asked(store: Connection, product_id: str, wish: Wish[ProductChanges]) -> Receipt:
    """Leaves the message; who sends the request again waits for the same one."""
    keyed = wish.keyed
    if keyed is None:
        return ask(store, product_id, wish.value)
    known = wait_for_others(store, keyed)
    if known is not None:
        note_delivery(store, keyed)
        return Receipt([Accepted.model_validate_json(known.body).id], repeated=True)
    receipt = ask(store, product_id, wish.value, keyed.kept_under)
    if not receipt.differs:
        accepted = Accepted.of(receipt.message_ids[0])
        keep_and_commit(store, keyed, Answer(202, accepted.model_dump_json().encode()))
    return receipt


async def _finished(resources: Resources, message_id: int, seconds: float) -> Response:
    """Waits for the change, and for its undo if it failed; answers with what came of it."""
    until = time.monotonic() + seconds
    if not await resources.waiting.until_finished(message_id, seconds):
        return _accepted(message_id)
    ended = await resources.transact(lambda store: load_ended(store, message_id))
    while ended.is_being_undone and time.monotonic() < until:
        await asyncio.sleep(PAUSE_SECONDS)
        ended = await resources.transact(lambda store: load_ended(store, message_id))
    if ended.error is not None:
        raise _problem(ended, message_id)
    body = await resources.transact(lambda store: _render(store, ended))
    return Response(body, 200, _location(message_id), "application/json")


def _problem(ended: Ended, message_id: int) -> ProblemError:
    status = _STATUS.get(ended.error or "", 503)
    headers = _location(message_id)
    if status == 503:
        asked = ended.retry_after_seconds or RETRY_AFTER_SECONDS
        headers["Retry-After"] = str(round(asked))
    return ProblemError(
        status,
        f"{ended.reason} {ended.undone}",
        headers=headers,
        saga_id=ended.saga_id,
        undone=ended.undone,
    )


def _render(store: Connection, ended: Ended) -> str:
    product = load_product(store, ended.product_id or "")
    if product is None:
        raise ProblemError(409, "The product was changed, and deleted meanwhile.")
    return UpdatedProduct(product=product, erp=_shown(ended.erp)).model_dump_json()


def _shown(there: dict[str, Any]) -> ErpProductShown:
    details = there["details"]
    variants = [each | {"options": dict(each["options"])} for each in details["variants"]]
    return ErpProductShown.model_validate({**there, **details, "variants": variants})


def _accepted(message_id: int, headers: dict[str, str] | None = None) -> Response:
    content = Accepted.of(message_id).model_dump_json()
    return Response(content, 202, _location(message_id) | (headers or {}), "application/json")


def _location(message_id: int) -> dict[str, str]:
    return {"Location": Accepted.of(message_id).location}
