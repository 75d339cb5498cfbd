"""The ERP behind our reference contract.

Belongs here: the port's operations over HTTP, and what is certain after each. Does
not belong here: what may be in an answer (`rest_rows`, `rest_orders`) and in a request
(`rest_requests`), how a list is read to its end (`rest_lists`).

The contract is the OpenAPI document that the sandbox serves at `/erp/openapi.json`.
Every request may be sent again: a product's change by its idempotency key, an order by
its reference, a confirmation and a cancellation because they say what shall be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Final, Self, TypeVar

from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.erp import rest_rows as rows
from commerce_pipelines.connectors.erp.port import (
    Erp,
    Prices,
    ProductPage,
    PurchaseRules,
    RejectedRecord,
    Stock,
)
from commerce_pipelines.connectors.erp.rest_by_hand import RestByHand
from commerce_pipelines.connectors.erp.rest_fields import Row
from commerce_pipelines.connectors.erp.rest_lists import ListedPage, behind, read_list, read_page
from commerce_pipelines.connectors.erp.rest_orders import (
    CANCELLED,
    agree,
    order_body,
    order_rank,
    read_cancelled,
    read_confirmed,
    read_order,
    read_under,
)
from commerce_pipelines.connectors.erp.rest_requests import (
    body_of,
    details_body,
    moment_text,
    order_path,
    parts,
    product_path,
    write_headers,
)
from commerce_pipelines.connectors.erp.rest_verdicts import (
    NO_PRODUCT,
    ON_CANCEL,
    ON_CONFIRM,
    ON_CREATE,
    ON_WRITE,
    Verdict,
    the_one,
    the_one_under,
)
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.orders import ErpOrder, PlacedOrder
from commerce_pipelines.domain.price_book import Company
from commerce_pipelines.errors import Conflict, Refused

MOST_A_PAGE: Final = 500

Result = TypeVar("Result")


class RestErp(Erp):
    """An ERP behind the reference contract.

    Args:
        http: A session with it.
        budget: What every request takes from, reads too.
    """

    most_variants: ClassVar[int] = 1_000
    has_revisions: ClassVar[bool] = True

    def __init__(self, http: HttpSession, budget: RateBudget) -> None:
        self._http = http
        self._budget = budget

    @classmethod
    def open(
        cls,
        *,
        url: str,
        api_key: str,
        budget: RateBudget,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 30.0,
        breaker: Breaker | None = None,
    ) -> Self:
        """Returns an ERP with a session of its own; connects when first used.

        Args:
            url: Base address.
            api_key: Its key.
            budget: What every request takes from.
            retry: How requests are repeated.
            timeout_seconds: How long an answer may take to begin, and then to end.
            breaker: Keeps requests back while it fails; one of its own if not given.

        Raises:
            ConfigurationError: The address or the key cannot be used.
        """
        session = HttpSession(
            url,
            secret_headers={"Authorization": f"Bearer {api_key}"},
            read_timeout_seconds=timeout_seconds,
            retry=retry,
            breaker=breaker or Breaker("The ERP"),
        )
        return cls(session, budget)

    @property
    def url(self) -> str:
        """Returns the base address."""
        return self._http.base_url

    @property
    def by_hand(self) -> RestByHand:
        """Returns the contract's requests for a person to send."""
        return RestByHand(self.url)

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def fetch_products(self, since: datetime | None) -> Iterator[ProductPage]:
        """Fetches the products that changed at a moment or later, page by page."""
        read = partial(read_page, name="products", moment="changed_at", read=rows.read_product)
        fetch = partial(self._page, "/products", "changed_since", read)
        for fresh in read_list(fetch, behind(since)):
            known = [each for each in (since, fresh.reached) if each is not None]
            reached = max(known, default=None)
            yield ProductPage(tuple(fresh.records), tuple(fresh.rejected), reached)

    def fetch_prices(
        self, variants: Sequence[str], currency_code: str, customer_group: str
    ) -> Prices:
        """Fetches the prices of many variants at once."""
        asked = {"currency_code": currency_code, "customer_group": customer_group}
        answers = [
            self._query(
                "/prices/query",
                {**asked, "variants": part},
                partial(rows.read_prices, asked=part),
            )
            for part in parts(variants, self.most_variants)
        ]
        tiers = {variant: each for answer in answers for variant, each in answer.tiers.items()}
        rejected = tuple(each for answer in answers for each in answer.rejected)
        return Prices(_oldest(answer.as_of for answer in answers), tiers, rejected)

    def fetch_stock(self, variants: Sequence[str]) -> Stock:
        """Fetches the stock of many variants at once."""
        answers = [
            self._query("/stock/query", {"variants": part}, partial(rows.read_stock, asked=part))
            for part in parts(variants, self.most_variants)
        ]
        levels = {variant: each for answer in answers for variant, each in answer.levels.items()}
        rejected = tuple(each for answer in answers for each in answer.rejected)
        return Stock(_oldest(answer.as_of for answer in answers), levels, rejected)

    def fetch_purchase_rules(
        self, companies: Sequence[str], variants: Sequence[str]
    ) -> PurchaseRules:
        """Fetches which of these companies may not buy which of these variants."""
        answers = [
            self._query(
                "/purchase-rules/query",
                {"companies": some, "variants": part},
                partial(rows.read_rules, companies=some, variants=part),
            )
            for some in parts(companies, self.most_variants)
            for part in parts(variants, self.most_variants)
        ]
        forbidden = frozenset[tuple[str, str]]().union(*(each.forbidden for each in answers))
        return PurchaseRules(_oldest(answer.as_of for answer in answers), forbidden)

    def fetch_companies(self, names: Sequence[str]) -> Mapping[str, Company]:
        """Fetches companies by name as asked for; one that the ERP does not know is missing."""
        found: dict[str, Company] = {}
        for part in parts(names, self.most_variants):
            read = partial(rows.read_companies, names=part)
            found |= self._query("/companies/query", {"names": part}, read)
        return found

    def find_product(self, external_id: str) -> ErpProduct | None:
        """Fetches one product; None if the ERP says that there is none."""
        verdict = Verdict(the_one(rows.read_product, external_id), refusals={}, missing=NO_PRODUCT)
        self._send("GET", product_path(external_id), judge=verdict)
        return verdict.result

    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        """Changes a product to these details if nobody has changed it since it was seen."""
        verdict = Verdict(the_one(rows.read_product, external_id), ON_WRITE)
        self._send(
            "PUT",
            product_path(external_id),
            headers=write_headers(seen, idempotency_key),
            body=body_of(details_body(details)),
            judge=verdict,
        )
        return verdict.something

    def find_order(self, reference: str) -> ErpOrder | None:
        """Fetches the order that has our order's id as reference; None if there is none."""
        verdict = Verdict(partial(read_under, reference=reference))
        self._send("GET", "/orders", params={"reference": reference}, judge=verdict)
        return min(verdict.something, key=order_rank, default=None)

    def create_order(self, order: PlacedOrder) -> ErpOrder:
        """Creates a draft of an order with its id as reference, once, however often it is sent."""
        verdict = Verdict(the_one_under(order.id), ON_CREATE)
        self._send("POST", "/orders", body=body_of(order_body(order)), judge=verdict)
        there = verdict.something
        if there.status == CANCELLED:
            raise Refused(f"Order {there.external_id} is cancelled, and keeps its reference.")
        if not agree(order, there):
            raise Conflict(f"Order {there.external_id} has our reference and other lines.")
        return there

    def confirm_order(self, external_id: str) -> ErpOrder:
        """Confirms a draft: from then on the ERP works on it. A confirmed one stays as it is."""
        verdict = Verdict(the_one(read_confirmed, external_id), ON_CONFIRM)
        self._send("POST", f"{order_path(external_id)}/confirm", judge=verdict)
        return verdict.something

    def cancel_order(self, external_id: str) -> ErpOrder:
        """Cancels an order that the ERP has not begun to work on. A cancelled one stays so."""
        verdict = Verdict(the_one(read_cancelled, external_id), ON_CANCEL)
        self._send("POST", f"{order_path(external_id)}/cancel", judge=verdict)
        return verdict.something

    def fetch_changed_orders(self, since: datetime) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders that changed at a moment or later, as `fetch_products` does."""
        read = partial(read_page, name="orders", moment="changed_at", read=read_order)
        fetch = partial(self._page, "/orders", "changed_since", read)
        for fresh in read_list(fetch, behind(since)):
            yield from fresh.records
            yield from fresh.rejected

    def fetch_orders(
        self, placed_from: datetime, placed_until: datetime
    ) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders placed at the first moment or later, and before the second."""
        until = {"placed_until": moment_text(placed_until)}
        read = partial(read_page, name="orders", moment="placed_at", read=read_order)
        fetch = partial(self._page, "/orders", "placed_from", read, more=until)
        for fresh in read_list(fetch, placed_from.astimezone(UTC)):
            yield from (each for each in fresh.records if each.placed_at < placed_until)
            yield from fresh.rejected

    def _page(
        self,
        path: str,
        from_field: str,
        read: Callable[[Any], ListedPage[Result]],
        since: datetime | None,
        cursor: str | None,
        *,
        more: Mapping[str, str] | None = None,
    ) -> ListedPage[Result]:
        params = {"limit": str(MOST_A_PAGE), **(more or {})}
        if since is not None:
            params[from_field] = moment_text(since)
        if cursor is not None:
            params["cursor"] = cursor
        verdict = Verdict(read)
        self._send("GET", path, params=params, judge=verdict)
        return verdict.something

    def _query(self, path: str, body: Row, read: Callable[[Any], Result]) -> Result:
        verdict = Verdict(read)
        self._send("POST", path, body=body_of(body), reads=True, judge=verdict)
        return verdict.something

    def _send(self, method: str, path: str, **options: Any) -> None:
        self._http.send(
            method, path, repeatable=True, before_attempt=self._budget.acquire, **options
        )


def _oldest(moments: Iterable[datetime]) -> datetime:
    return min(moments, default=datetime.now(UTC))
