"""Every error of the endpoint as `application/problem+json` (RFC 9457).

Belongs here: which error is which status, once. Does not belong here: raising them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from commerce_pipelines.domain.codes import Code
from commerce_pipelines.domain.strict_json import NoSuchArray
from commerce_pipelines.errors import (
    CommerceError,
    Conflict,
    Declined,
    Fenced,
    InvalidInput,
    InvalidSignature,
    NeedsPerson,
    NotFound,
    Refused,
    TransientError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

_log = logging.getLogger(__name__)

# The first that fits. What is not here is a fault of ours: 500, without its text.
STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (InvalidSignature, 401),
    (NoSuchArray, 422),
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Declined, 409),
    (NeedsPerson, 409),
    (Refused, 502),
    (TransientError, 503),
    (Fenced, 503),
    (ClientDisconnect, 400),
    (OperationalError, 503),
    (InterfaceError, 503),
    (InternalError, 503),
    (PoolTimeoutError, 503),
)


# What a rule of the trade declines is 409, but for these.
STATUS_OF_CODE: Final = {
    Code.VARIANT_NOT_FOUND: 404,
    Code.COMPANY_MAY_NOT_BUY: 403,
    Code.CUSTOMER_NOT_FOUND: 422,
    Code.CART_INCOMPLETE: 422,
    Code.CART_EMPTY: 422,
    Code.QUANTITY_TOO_LARGE: 422,
    Code.TOTAL_TOO_LARGE: 422,
    Code.TOO_MANY_LINES: 422,
    Code.KEY_REUSED: 422,
}
# Names a kind of problem; there is nothing to fetch under it.
_TYPE: Final = "urn:commerce-pipelines:problem:"


class ProblemError(CommerceError):
    """The request cannot be answered as asked.

    Attributes:
        status: HTTP status.
        members: Further members of the answer.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.members = members
        self.headers = dict(headers or {})


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    field: str = Field(description="Where; empty for the whole.")
    reason: str
    position: int | None = Field(None, description="Of the product in the list, from 0.")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description=f"`{_TYPE}` and the code, where there is one.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path that was asked for.")
    code: str | None = Field(None, description="Which rule of the trade declined it.")
    errors: list[Fault] | None = Field(None, description="Each fault, where they are known.")


def install(app: FastAPI) -> None:
    """Makes every error of an application a problem."""
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ProblemError, _known)
    for kind, _ in STATUS:
        app.add_exception_handler(kind, _known)


def answer(request: Request, error: Exception) -> Response:
    """Returns the answer to a request that failed with this error."""
    if isinstance(error, Declined):
        error = declined(error.code, str(error), error.facts)
    if isinstance(error, ProblemError):
        return _respond(request, error.status, str(error), error.headers, error.members)
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    return _respond(request, status, _detail(error, status), _headers(error, status))


def declined(code: str, detail: str, facts: Mapping[str, Any]) -> ProblemError:
    """Returns the problem that a rule of the trade makes, with its code and its facts."""
    status = STATUS_OF_CODE.get(Code(code), 409)
    return ProblemError(status, detail, type=f"{_TYPE}{code}", code=code, **facts)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns what OpenAPI says of a route's problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def _known(request: Request, error: Exception) -> Response:
    if isinstance(error, SQLAlchemyError):
        _log.warning("the store: %s", getattr(error, "orig", error))
    return answer(request, error)


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _respond(request, error.status_code, str(error.detail), error.headers)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "reason": fault["msg"]}
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in faults)
    return _respond(request, 422, detail, members={"errors": faults})


def _detail(error: Exception, status: int) -> str:
    if isinstance(error, CommerceError) and status != 500:
        return str(error)
    return {
        400: "The request ended before it was whole.",
        503: "The store does not answer; try again.",
    }.get(status, "Something went wrong here; it is in the log.")


def _headers(error: Exception, status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "StandardWebhooks"}
    if status != 503:
        return {}
    asked = error.retry_after_seconds if isinstance(error, TransientError) else None
    return {"Retry-After": str(round(asked or RETRY_AFTER_SECONDS))}


def _respond(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        **(members or {}),
    }
    # ASCII, for a path or a name from outside may hold what UTF-8 cannot.
    body = json.dumps(problem).encode()
    return Response(body, status, dict(headers or {}), MEDIA_TYPE)
