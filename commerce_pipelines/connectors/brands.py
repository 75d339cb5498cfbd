"""The brand system of a third party.

Belongs here: reading what changed there, creating, changing and deleting a brand,
and what is certain after each. Does not belong here: which brand of ours it is and
what an undo looks like (`services`), what may be in a row (`brand_rows`) and in a
request (`brand_requests`).

Every write may be sent again, also by another process, and has one effect at most:
a creation by its idempotency key, a change and a deletion by the version they are
for. So a request that is in doubt is cleared up by sending it again, and an earlier
one that is late can have no effect once a later one was answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.brand_requests import (
    brand_path,
    fields_body,
    precondition,
    version_text,
)
from commerce_pipelines.connectors.brand_rows import (
    ListedPage,
    RejectedRow,
    read_brand,
    read_page,
)
from commerce_pipelines.connectors.http import HttpSession, error_for
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.texts import idempotency
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.errors import CommerceError, Conflict, Refused, Unknown

REQUESTS_PER_SECOND: Final = 10
MOST_A_PAGE: Final = 500

_GONE = "brand_not_found"


@dataclass(frozen=True, slots=True)
class FetchedBrands:
    """What a reading of the list found.

    Attributes:
        brands: Each brand once, as it was read last.
        rejected: Rows that are no brands, each once.
        total: How many brands there were when the reading ended, changed or not.
    """

    brands: list[ForeignBrand]
    rejected: list[RejectedRow]
    total: int


class BrandSystem:
    """One account.

    Threads may share it. Texts and reprs never hold the key.

    Args:
        http: A session with the system.
        budget: What every request takes from, reads too.
    """

    def __init__(self, http: HttpSession, budget: RateBudget) -> None:
        self._http = http
        self._budget = budget

    @classmethod
    def open(
        cls, *, url: str, api_key: str, budget: RateBudget, retry: RetryPolicy | None = None
    ) -> Self:
        """Returns an account with a session of its own; connects when first used.

        Args:
            url: Base address.
            api_key: The account's key.
            budget: What every request takes from.
            retry: How requests are repeated.

        Raises:
            ConfigurationError: The address or the key cannot be used.
        """
        return cls(HttpSession(url, secret_headers={"X-Api-Key": api_key}, retry=retry), budget)

    @property
    def url(self) -> str:
        """Returns the base address."""
        return self._http.base_url

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def fetch_changed(self, since: datetime | None) -> FetchedBrands:
        """Fetches the brands that changed at a moment or later; all without one.

        Complete although the list shifts while it is read: it is asked for by time, not
        by position, and what changes meanwhile moves to its end and is read there.
        Of a brand that comes again, the newest is kept. A deleted brand just does not
        come: compare the total.

        Args:
            since: Aware. Go back a little behind what was read last: a change there may
                be seen later than its time.

        Raises:
            InvalidInput: The moment has no zone.
            Refused: The answer is no list of brands, or one without an end.
            CommerceError: See `HttpSession.get`; nothing was changed, and part of the
                list is no answer.
        """
        found: dict[object, ForeignBrand | RejectedRow] = {}
        total = 0
        for page in self._pages(since):
            total = page.total
            for row in page.rows:
                key = row if row.external_id is None else row.external_id
                if not _is_older(row, found.get(key)):
                    found[key] = row
        brands = [row for row in found.values() if isinstance(row, ForeignBrand)]
        rejected = [row for row in found.values() if isinstance(row, RejectedRow)]
        return FetchedBrands(brands, rejected, total)

    def find(self, external_id: str) -> ForeignBrand | None:
        """Fetches one brand; None if the brand system says that there is none.

        Raises:
            InvalidInput: This cannot be an id.
            NotFound: The address knows nothing of brands; the brand may be there.
            Refused: The answer is no brand.
            CommerceError: See `HttpSession.get`; never Unknown.
        """
        answer = self._send("GET", brand_path(external_id), judge=_judge_find)
        return None if _is_gone(answer) else _brand_in(answer)

    def create(
        self, name: str, description: str | None, logo_url: str | None, idempotency_key: str
    ) -> ForeignBrand:
        """Creates a brand, once for each key; repeats on transient errors.

        The same again, also from another process, makes no second one and returns the
        brand as it was when it was made; it may have been changed or deleted since.

        Args:
            name: Need not be unique there.
            description: A text about it.
            logo_url: Address of its logo.
            idempotency_key: The step's.

        Raises:
            InvalidInput: A text or the key cannot be sent.
            Unauthorised: The key of the account is no good.
            Refused: It is not taken in this form, or the idempotency key was used with
                other fields; no brand was made by this call.
            Unknown: There may be a new brand. Sending the same again tells which one.
            Unavailable: There is none, nor will be.
        """
        fields = {"name": name, "description": description, "logo_url": logo_url}
        answer = self._send(
            "POST",
            "/brands",
            headers=idempotency(idempotency_key),
            body=fields_body(fields),
            judge=_judge_write,
        )
        return _brand_in(answer)

    def update(
        self, external_id: str, fields: Mapping[str, str | None], unless_changed_since: datetime
    ) -> ForeignBrand:
        """Changes a brand if nobody has since a version; repeats on transient errors.

        Args:
            external_id: Its id there.
            fields: New values of some of `FIELDS`; None removes one that is not the name.
            unless_changed_since: The `updated_at` that was seen.

        Raises:
            InvalidInput: A field, the id or the moment cannot be sent.
            NotFound: There is no such brand.
            Conflict: It has changed since: this call changed nothing, nor will it. Where
                an earlier call was in doubt, that one may be the change: `find` and compare.
            Unauthorised: The key of the account is no good.
            Refused: It is not taken in this form.
            Unknown: It may have been changed; also where a repeat then met a conflict.
            Unavailable: It was not, nor will be.
        """
        answer = self._send(
            "PATCH",
            brand_path(external_id),
            headers=precondition(unless_changed_since),
            body=fields_body(fields),
            judge=_judge_write,
        )
        return _brand_in(answer)

    def delete(self, external_id: str, unless_changed_since: datetime) -> bool:
        """Deletes a brand if nobody has changed it since a version; repeats on transient errors.

        Args:
            external_id: Its id there.
            unless_changed_since: The `updated_at` that was seen.

        Returns:
            True if it is gone now, False if it was gone already; an answer that was
            lost makes the first look like the second.

        Raises:
            InvalidInput: The id or the moment cannot be sent.
            NotFound: The address knows nothing of brands; the brand may be there.
            Conflict: It has changed since and is still there: nothing was deleted, nor
                will be, also by an earlier call in doubt for this version.
            Unauthorised: The key of the account is no good.
            Unknown: It may be gone. Sending the same again tells.
            Unavailable: It was not deleted, nor will be.
        """
        answer = self._send(
            "DELETE",
            brand_path(external_id),
            headers=precondition(unless_changed_since),
            judge=_judge_delete,
        )
        # Not in `judge`: after a lost answer a conflict would leave a doubt where none is.
        if answer.status == 412:
            raise Conflict(str(answer))
        return not _is_gone(answer)

    def _pages(self, since: datetime | None) -> Iterator[ListedPage]:
        cursor: str | None = None
        while True:
            page = self._page(since, cursor)
            yield page
            if page.next_cursor is None:
                return
            if page.reaches is not None and (since is None or page.reaches > since):
                since, cursor = page.reaches, None
            elif page.next_cursor != cursor:
                # More brands of one moment than fit into a page: only a cursor leads on.
                cursor = page.next_cursor
            else:
                raise Refused("The brand system's list of brands goes round in circles.")

    def _page(self, since: datetime | None, cursor: str | None) -> ListedPage:
        params = {"limit": str(MOST_A_PAGE)}
        if since is not None:
            params["updated_since"] = version_text(since)
        if cursor is not None:
            params["cursor"] = cursor
        return read_page(self._send("GET", "/brands", params=params).body)

    def _send(self, method: str, path: str, **options: Any) -> Answer:
        return self._http.send(
            method, path, repeatable=True, before_attempt=self._budget.acquire, **options
        )


def _judge_find(answer: Answer) -> CommerceError | None:
    return None if _is_gone(answer) else error_for(answer)


def _judge_write(answer: Answer) -> CommerceError | None:
    error = error_for(answer)
    if error is None and isinstance(read_brand(answer.body), RejectedRow):
        return Unknown(f"{answer} (no brand)")
    return error


def _judge_delete(answer: Answer) -> CommerceError | None:
    return None if answer.status == 412 or _is_gone(answer) else error_for(answer)


def _is_gone(answer: Answer) -> bool:
    """Tells whether the brand system itself, and no gateway, says that there is no such brand."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return answer.status == 404 and isinstance(error, dict) and error.get("code") == _GONE


def _brand_in(answer: Answer) -> ForeignBrand:
    brand = read_brand(answer.body)
    if isinstance(brand, RejectedRow):
        raise Refused(f"{answer.request} answered with no brand: {brand.reason}.")
    return brand


def _is_older(row: ForeignBrand | RejectedRow, known: ForeignBrand | RejectedRow | None) -> bool:
    if isinstance(row, ForeignBrand) and isinstance(known, ForeignBrand):
        return row.updated_at < known.updated_at
    return False
