"""What the ERP refuses.

Belongs here: status, code and sentence of every refusal. Does not belong here:
when something is refused, and requests of the wrong shape (FastAPI answers those
with 422).
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


class ErpError(Exception):
    """The ERP refuses a request."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(error=ErrorDetail(code=code, message=message)).model_dump()
        self.headers = headers or {}


def unauthorised() -> ErpError:
    """Returns the answer to a request without the key, or with another one."""
    return ErpError(401, "unauthorised", "The key is missing or wrong")


def rate_limited(per_second: int) -> ErpError:
    """Returns the answer to more requests than a second allows."""
    message = f"At most {per_second} requests a second"
    return ErpError(429, "rate_limited", message, {"retry-after": "1"})


def no_product(product_id: str) -> ErpError:
    """Returns the answer to an id that no product has."""
    return ErpError(404, "product_not_found", f"There is no product {product_id}")


def no_variant(variant_id: str) -> ErpError:
    """Returns the answer to a variant in a body that is not there, or not the product's."""
    return ErpError(422, "variant_not_found", f"There is no variant {variant_id}")


def no_order(order_id: str) -> ErpError:
    """Returns the answer to an id that no order has."""
    return ErpError(404, "order_not_found", f"There is no order {order_id}")


def revision_differs(product_id: str, revision: str) -> ErpError:
    """Returns the answer to a revision that is not the current one."""
    return ErpError(412, "revision_differs", f"Product {product_id} is at revision {revision}")


def key_reused() -> ErpError:
    """Returns the answer to an idempotency key that came with another body before."""
    return ErpError(
        422, "idempotency_key_reused", "This Idempotency-Key was used for something else"
    )


def order_differs(reference: str) -> ErpError:
    """Returns the answer to another order under a reference that is taken."""
    message = f"There is an order with other content under the reference {reference}"
    return ErpError(409, "order_differs", message)


def order_cancelled(order_id: str) -> ErpError:
    """Returns the answer to the confirmation of a cancelled order."""
    return ErpError(409, "order_cancelled", f"Order {order_id} is cancelled")


def order_too_far(order_id: str, status: str) -> ErpError:
    """Returns the answer to the cancellation of an order that is worked on."""
    return ErpError(409, "order_too_far", f"Order {order_id} is {status} and cannot be cancelled")


def no_such_cursor() -> ErpError:
    """Returns the answer to a cursor that was never given out."""
    return ErpError(422, "no_such_cursor", "cursor is none that was given out")
