"""Tryton's REST interface: records are searched, made, changed and acted on.

Belongs here: requests, what their answers mean, and reading on while records change.
Does not belong here: any model's own fields.

Answers mean what `http` says, but for 400: that is Tryton's own no, with a reason. For a
writing it comes back as an answer, because what is there already is refused in the same way.
503 is contention for the most part, but it is also what an action answers that failed after
its commit, so a writing is in doubt then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.erp.tryton_wire import (
    Domain,
    Row,
    from_json,
    to_base64,
    to_json,
)
from commerce_pipelines.connectors.http import HttpSession, error_for
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.errors import CommerceError, Refused, Unknown

# So many ids fit into an address of 4,094 characters, gunicorn's limit.
MOST_IDS: Final = 200
MOST_A_PAGE: Final = 500
NO_CONTEXT: Final[Mapping[str, Any]] = {}


class Records:
    """The records of one database; may be shared by threads.

    Args:
        http: A session with `https://host/database`.
        budget: What every request takes from.
    """

    def __init__(self, http: HttpSession, budget: RateBudget) -> None:
        self._http = http
        self._budget = budget

    @property
    def url(self) -> str:
        """Returns the base address."""
        return self._http.base_url

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def search(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        context: Mapping[str, Any] = NO_CONTEXT,
        *,
        order: Sequence[tuple[str, str]] = (("id", "ASC"),),
        most: int | None = None,
    ) -> list[Row]:
        """Fetches the records of a domain, in one request.

        Raises:
            Refused: Tryton says no, with its reason.
            CommerceError: Never Unknown.
        """
        params: dict[str, str | list[str]] = {"f": list(fields), "o": to_base64(order)}
        if domain:
            params["d"] = to_base64(domain)
        if most is not None:
            params["s"] = str(most)
        answer = self._http.send(
            "GET",
            path_of(model),
            params=params,
            headers=context_header(context),
            repeatable=True,
            judge=_judge_rows,
            before_attempt=self._budget.acquire,
        )
        return list(from_json(answer.body))

    def read(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        context: Mapping[str, Any] = NO_CONTEXT,
    ) -> Iterator[Row]:
        """Fetches all records of a domain in the order of their ids, page by page."""
        after: Domain = []
        while True:
            rows = self.search(model, [*domain, *after], fields, context, most=MOST_A_PAGE)
            yield from rows
            if len(rows) < MOST_A_PAGE:
                return
            after = [("id", ">", rows[-1]["id"])]

    def changes(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        since: datetime | None,
        context: Mapping[str, Any] = NO_CONTEXT,
    ) -> Iterator[Row]:
        """Fetches records in the order of their changes; what changes meanwhile comes again."""
        after: Domain = [] if since is None else [("last_modified_at", ">=", since)]
        fields = [*fields, "last_modified_at"]
        order = (("last_modified_at", "ASC"), ("id", "ASC"))
        while True:
            rows = self.search(
                model, [*domain, *after], fields, context, order=order, most=MOST_A_PAGE
            )
            yield from rows
            if len(rows) < MOST_A_PAGE:
                return
            moment = rows[-1]["last_modified_at"]
            same = [("last_modified_at", "=", moment), ("id", ">", rows[-1]["id"])]
            after = [["OR", ("last_modified_at", ">", moment), same]]

    def create(
        self,
        model: str,
        values: Row,
        fields: Sequence[str],
        context: Mapping[str, Any] = NO_CONTEXT,
    ) -> Row | Refused:
        """Creates a record; Tryton's no comes back. Sent again, so it must be unique there.

        Raises:
            Unknown: It may be there.
            CommerceError: It is not.
        """
        return self._write("POST", path_of(model), values, fields, context)

    def change(
        self,
        model: str,
        record: int,
        values: Row,
        fields: Sequence[str],
        context: Mapping[str, Any] = NO_CONTEXT,
        *,
        repeatable: bool = False,
    ) -> Row | Refused:
        """Changes a record; Tryton's no comes back.

        Args:
            model: Its model.
            record: Its id.
            values: What to write.
            fields: What to return.
            context: What the request says of itself.
            repeatable: Whether writing it twice has one effect.

        Raises:
            Unknown: It may be changed.
            CommerceError: It is not.
        """
        path = f"{path_of(model)}/{record}"
        return self._write("PUT", path, values, fields, context, repeatable=repeatable)

    def act(
        self,
        model: str,
        record: int,
        action: str,
        fields: Sequence[str],
        context: Mapping[str, Any] = NO_CONTEXT,
    ) -> Row | Refused:
        """Does an action whose repetition does nothing more; Tryton's no comes back.

        Raises:
            Unknown: It may be done.
            CommerceError: It is not.
        """
        return self._write("POST", f"{path_of(model)}/{record}/{action}", {}, fields, context)

    def _write(
        self,
        method: str,
        path: str,
        values: Row,
        fields: Sequence[str],
        context: Mapping[str, Any],
        *,
        repeatable: bool = True,
    ) -> Row | Refused:
        answer = self._http.send(
            method,
            path,
            params={"f": list(fields)},
            headers=context_header(context),
            body=to_json(values),
            repeatable=repeatable,
            judge=_judge_written,
            before_attempt=self._budget.acquire,
        )
        if answer.status == 400:
            return Refused(f"{answer.request} was refused: {_reason(answer)}")
        return dict(from_json(answer.body))


def id_in(external_id: str) -> int | None:
    """Returns a record's number; None where a text cannot be one."""
    usable = external_id.isascii() and external_id.isdigit() and len(external_id) <= 9
    return int(external_id) if usable else None


def path_of(model: str) -> str:
    """Returns the path of a model's records."""
    return f"/rest/model/{model}"


def context_header(context: Mapping[str, Any]) -> dict[str, str]:
    """Returns the header in which a request says something of itself."""
    return {"X-Tryton-Context": to_base64(context)} if context else {}


def _judge_rows(answer: Answer) -> CommerceError | None:
    if answer.status == 400 and _is_from_tryton(answer):
        return Refused(f"{answer.request} was refused: {_reason(answer)}")
    if error := error_for(answer):
        return error
    return None if _can_be_read(answer, list) else Unknown(f"{answer} (no records)")


def _judge_written(answer: Answer) -> CommerceError | None:
    if answer.status == 400 and _is_from_tryton(answer):
        return None
    if error := error_for(answer):
        return error
    return None if _can_be_read(answer, dict) else Unknown(f"{answer} (no record)")


def _can_be_read(answer: Answer, kind: type) -> bool:
    try:
        body = from_json(answer.body)
    except ValueError:
        return False
    rows = [body] if kind is dict else body
    return isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows
    )


def _is_from_tryton(answer: Answer) -> bool:
    return isinstance(answer.body, dict) and "message" in answer.body


def _reason(answer: Answer) -> str:
    return " ".join(str(answer.body["message"]).split())[:300]
