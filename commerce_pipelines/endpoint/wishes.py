"""What a request that changes the store asks for, once it is known to be from one who may.

Belongs here: the body by its shape, and the key under which it is answered once. Does not
belong here: what becomes of it (`settling.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from commerce_pipelines.domain.catalog import first_fault
from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.endpoint.bodies import BodyLimits, read_body
from commerce_pipelines.endpoint.preferences import idempotency_key
from commerce_pipelines.endpoint.problems import ProblemError
from commerce_pipelines.endpoint.resources import Resources
from commerce_pipelines.endpoint.signatures import LONGEST_ID
from commerce_pipelines.store.idempotency import KeyedRequest

LIMITS: Final = BodyLimits(most_bytes=256 * 1024, seconds=10.0)
# Of an empty body.
_NO_BODY: Final = bytes(32)

KEY_PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": "^[ -~]+$"},
    "description": "Sent again with the same body, the first answer comes again, byte for byte, "
    "and nothing else happens; with another body it is 422. A signed delivery under another key "
    "than its first, or for another address, is 409. Known for a day.",
}

Shape = TypeVar("Shape", bound=BaseModel)


class Nothing(BaseModel):
    """A body that says nothing; it may be missing."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Wish(Generic[Shape]):
    """What is asked for.

    Attributes:
        keyed: What it is known by when it comes again; None without key and signature.
    """

    value: Shape
    keyed: KeyedRequest | None


async def read_wish(
    request: Request,
    resources: Resources,
    shape: type[Shape],
    scope: str | None = None,
    limits: BodyLimits = LIMITS,
) -> Wish[Shape]:
    """Returns what a request asks for.

    Args:
        request: The request.
        resources: What knows whom to believe.
        shape: Of the body.
        scope: What the key is for; the route as it was asked for, if not given.
        limits: What is too much for the body.

    Raises:
        ProblemError: The body is not of that shape.
        InvalidInput: It is not JSON, or not from one who may.
    """
    delivery = resources.callers.signed_or_local(request)
    key = idempotency_key(request)
    if shape is Nothing and not _has_body(request):
        if delivery:
            delivery.verify()
        asked, sha256 = {}, _NO_BODY
    else:
        raw, sha256 = await read_body(request, limits, delivery.feed if delivery else _ignore)
        if delivery:
            delivery.verify()
        asked = loads(raw)
    keyed = None
    if key or delivery:
        scope = scope or f"{request.method} {request.url.path}"
        keyed = KeyedRequest(scope, key, sha256, delivery.id if delivery else None)
    return Wish(_of_shape(shape, asked), keyed)


def described(shape: type[BaseModel], **examples: dict[str, Any]) -> dict[str, Any]:
    """Returns what OpenAPI says of a body that is read by hand."""
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _of_shape(shape: type[Shape], asked: Any) -> Shape:
    try:
        return shape.model_validate(asked)
    except ValidationError as error:
        field, reason = first_fault(error)
        detail = f"{field}: {reason}" if field else reason
        fault = {"field": field, "reason": reason}
        raise ProblemError(422, detail, errors=[fault]) from error


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in request.headers


def _ignore(chunk: bytes) -> None:
    """Takes a piece of an unsigned body."""
