"""What the brand system refuses.

Belongs here: status, code and sentence of every refusal. Does not belong here:
when something is refused, and requests of the wrong shape (FastAPI answers those).
"""

from __future__ import annotations

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """Why a request was refused."""

    code: str = Field(description="Stays the same; for programs.")
    message: str = Field(description="A sentence for people.")


class ErrorBody(BaseModel):
    """The body of a refusal."""

    error: ErrorDetail


class BrandsError(Exception):
    """The brand system refuses a request."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(error=ErrorDetail(code=code, message=message)).model_dump()
        self.headers = headers or {}


def unauthorised() -> BrandsError:
    """Returns the answer to a request without the key, or with another one."""
    return BrandsError(401, "unauthorised", "X-Api-Key is missing or wrong")


def rate_limited(per_second: int) -> BrandsError:
    """Returns the answer to more requests than a second allows."""
    message = f"At most {per_second} requests a second"
    return BrandsError(429, "rate_limited", message, {"retry-after": "1"})


def not_found(brand_id: str) -> BrandsError:
    """Returns the answer to an id that no brand has, or has any more."""
    return BrandsError(404, "brand_not_found", f"There is no brand {brand_id}")


def version_differs(brand_id: str, updated_at: str) -> BrandsError:
    """Returns the answer to a precondition that does not hold."""
    message = f"Brand {brand_id} was last changed at {updated_at}"
    return BrandsError(412, "version_differs", message)


def key_reused() -> BrandsError:
    """Returns the answer to an idempotency key that came with another body before."""
    message = "This Idempotency-Key was used with another body"
    return BrandsError(422, "idempotency_key_reused", message)


def no_such_cursor() -> BrandsError:
    """Returns the answer to a cursor that was never given out."""
    return BrandsError(422, "no_such_cursor", "cursor is none that was given out")
