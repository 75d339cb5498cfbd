"""What an answer by the reference contract means in our errors.

Belongs here: which refusals are the ERP's own, and that an answer nobody can read is
none. Does not belong here: reading (`rest_rows`, `rest_orders`), sending (`rest`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.erp.rest_fields import FieldError, Row
from commerce_pipelines.connectors.erp.rest_orders import read_order
from commerce_pipelines.connectors.erp.rest_rows import object_of
from commerce_pipelines.connectors.http import error_for
from commerce_pipelines.domain.erp_products import ErpProduct
from commerce_pipelines.domain.orders import ErpOrder
from commerce_pipelines.errors import CommerceError, Conflict, NeedsPerson, NotFound, Unknown

Result = TypeVar("Result")
Named = TypeVar("Named", ErpProduct, ErpOrder)

NO_PRODUCT: Final = "product_not_found"
Refusals = Mapping[str, type[CommerceError]]

ON_WRITE: Final[Refusals] = {NO_PRODUCT: NotFound, "revision_differs": Conflict}
ON_CREATE: Final[Refusals] = {"order_differs": Conflict}
ON_CONFIRM: Final[Refusals] = {"order_not_found": NotFound, "order_cancelled": Conflict}
ON_CANCEL: Final[Refusals] = {"order_not_found": NotFound, "order_too_far": NeedsPerson}

# What a gateway says too, so these count with a code of the ERP only.
_DOUBTFUL: Final = {404, 409, 412}


class Verdict(Generic[Result]):
    """Judges the answers to one request, and keeps what was read.

    Args:
        read: Reads the body of a success.
        refusals: By code, for a request that may be refused; others mean what the
            table of `http` says.
        missing: The code that means there is nothing, which is a result too.
    """

    def __init__(
        self,
        read: Callable[[Any], Result],
        refusals: Refusals | None = None,
        missing: str | None = None,
    ) -> None:
        self._read = read
        self._refusals = refusals
        self._missing = missing
        self._results: list[Result] = []

    @property
    def result(self) -> Result | None:
        """Returns what the last success said; None for nothing."""
        return self._results[-1] if self._results else None

    @property
    def something(self) -> Result:
        """Returns what the last success said."""
        return self._results[-1]

    def __call__(self, answer: Answer) -> CommerceError | None:
        """Returns the error that an answer means; None for a success."""
        code = _code_in(answer)
        if self._missing is not None and (answer.status, code) == (404, self._missing):
            return None
        if answer.status in _DOUBTFUL and self._refusals is not None:
            return self._refusals.get(code or "", Unknown)(str(answer))
        error = error_for(answer)
        if error is None:
            try:
                self._results.append(self._read(answer.body))
            except FieldError as fault:
                return Unknown(f"{answer.request} answered something else: {fault}.")
        return error


def the_one(read: Callable[[Row], Named], external_id: str) -> Callable[[Any], Named]:
    """Returns what reads the one record with this id, and takes no other for it."""

    def one(body: Any) -> Named:
        record = read(object_of(body))
        if record.external_id != external_id:
            raise FieldError("it is another record")
        return record

    return one


def the_one_under(reference: str) -> Callable[[Any], ErpOrder]:
    """Returns what reads the one order under this reference, and takes no other for it."""

    def one(body: Any) -> ErpOrder:
        order = read_order(object_of(body))
        if order.reference != reference:
            raise FieldError("it is another order")
        return order

    return one


def _code_in(answer: Answer) -> str | None:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None
