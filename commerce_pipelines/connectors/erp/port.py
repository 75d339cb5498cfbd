"""The few operations that the flows need of an ERP.

Belongs here: what each operation means, exactly; every adapter keeps to it and is
tested against it by the same contract test. Does not belong here: any ERP's own
words (`rest`, `tryton`), and which of our records is meant (`services`).

Variants and products are named by the ERP's ids. Money is exact: decimals that
travel as text, never floats. Times are aware. Every operation may be sent again. One
that reads raises no `Unknown`; one that writes says what is certain. An answer that
is no answer (HTML, half a JSON, a wrong type) is `Unavailable` for a reading and
`Unknown` for a writing; a single record that cannot be read is put among the
rejected, with its reason, and does not stop the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from commerce_pipelines.connectors.erp.by_hand import ByHand
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.domain.orders import ErpOrder, PlacedOrder
from commerce_pipelines.domain.price_book import Company, PriceTier, StockLevel


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record of the ERP that cannot be used.

    Attributes:
        external_id: Its id there, where that can be read.
        reason: A sentence without personal data.
    """

    external_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Some products, in the order of their change.

    Attributes:
        reached: Everything that changed before was in this page or an earlier one; None
            where nothing is known yet. Saved with the page, it is where to go on from.
    """

    products: tuple[ErpProduct, ...]
    rejected: tuple[RejectedRecord, ...]
    reached: datetime | None


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of some variants in one currency for one customer group.

    Attributes:
        as_of: All that the ERP had committed before is in here, aware.
        tiers: For every variant that was asked for and could be read: its tiers from the
            smallest quantity on, the first from 1; None for one that is not for sale.
    """

    as_of: datetime
    tiers: Mapping[str, tuple[PriceTier, ...] | None]
    rejected: tuple[RejectedRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Stock:
    """Stock of some variants.

    Attributes:
        as_of: All that the ERP had committed before is in here, aware.
        levels: By variant; one that the ERP does not know is missing.
    """

    as_of: datetime
    levels: Mapping[str, StockLevel]
    rejected: tuple[RejectedRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class PurchaseRules:
    """Who may not buy what.

    Attributes:
        as_of: All that the ERP had committed before is in here, aware.
        forbidden: Pairs of a company's name, as asked for, and a variant.
    """

    as_of: datetime
    forbidden: frozenset[tuple[str, str]] = field(default_factory=frozenset)


class Erp(ABC):
    """An ERP. Threads may share it; texts and reprs never hold the key.

    Attributes:
        most_variants: So many variants are asked for in one request; longer lists are
            split by the adapter, and `as_of` is then the oldest of the answers.
        has_revisions: Whether `write_product` is refused by the ERP itself after somebody
            else's change. Where not, the adapter compares right before it writes.
    """

    most_variants: ClassVar[int]
    has_revisions: ClassVar[bool]

    @property
    @abstractmethod
    def url(self) -> str:
        """Returns the base address."""

    @property
    def by_hand(self) -> ByHand:
        """Returns the requests for a person to send; none where nobody can write them down."""
        return ByHand()

    @abstractmethod
    def close(self) -> None:
        """Closes all connections."""

    @abstractmethod
    def fetch_products(self, since: datetime | None) -> Iterator[ProductPage]:
        """Fetches the products that changed at a moment or later, page by page; all without one.

        A commit may come later than its time, so the adapter goes back behind `since` by as
        much as its ERP needs, and a product may come that was fetched before. In one reading
        it comes again only if it changed meanwhile. Complete although pages shift while they
        are read: what changes meanwhile moves to the end and is read there. Deactivated
        products come too, deleted ones do not.

        Raises:
            InvalidInput: The moment has no zone.
            CommerceError: Pages until then were right, and reading goes on from the last
                `reached`.
        """

    @abstractmethod
    def fetch_prices(
        self, variants: Sequence[str], currency_code: str, customer_group: str
    ) -> Prices:
        """Fetches the prices of many variants at once.

        No price there, or null, means not for sale to this group in this currency; so does
        an unknown variant, group or currency. A negative amount, or one with more than four
        decimals, is rejected.
        """

    @abstractmethod
    def fetch_stock(self, variants: Sequence[str]) -> Stock:
        """Fetches the stock of many variants at once; parts of a unit do not count."""

    @abstractmethod
    def fetch_purchase_rules(
        self, companies: Sequence[str], variants: Sequence[str]
    ) -> PurchaseRules:
        """Fetches which of these companies may not buy which of these variants.

        A company that the ERP does not know may buy what everybody may.
        """

    @abstractmethod
    def fetch_companies(self, names: Sequence[str]) -> Mapping[str, Company]:
        """Fetches companies by name as asked for; one that the ERP does not know is missing.

        Case, accents and spaces do not make another company.
        """

    @abstractmethod
    def find_product(self, external_id: str) -> ErpProduct | None:
        """Fetches one product; None if the ERP says that there is none."""

    @abstractmethod
    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        """Changes a product to these details if nobody has changed it since it was seen.

        A variant without an id is added, one that is missing is removed from sale, all
        others are changed. The same again, under the same key, has one effect and returns
        the product as it is.

        Raises:
            NotFound: There is no such product.
            Conflict: It has changed since: this call changed nothing, nor will it.
            Refused: It is not taken in this form; nothing was changed.
            Unknown: It may have been changed; `find_product` and compare.
            Unavailable: It was not, nor will be.
        """

    @abstractmethod
    def find_order(self, reference: str) -> ErpOrder | None:
        """Fetches the order that has our order's id as reference; None if there is none.

        Where an ERP without unique references has several, it is the one with the lowest
        id that is not cancelled, else the lowest.
        """

    @abstractmethod
    def create_order(self, order: PlacedOrder) -> ErpOrder:
        """Creates a draft of an order with its id as reference, once, however often it is sent.

        A cancelled order does not count: beside it a new draft is made, for an export that
        was undone may be done again.

        Returns:
            The draft, or the order that was there under the reference and is not cancelled.

        Raises:
            Refused: It is not taken in this form; none was made by this call.
            Conflict: There is an order under the reference with other lines or currency.
            Unknown: There may be one. `find_order` tells, or sending the same again.
            Unavailable: There is none by this call, nor will be.
        """

    @abstractmethod
    def confirm_order(self, external_id: str) -> ErpOrder:
        """Confirms a draft: from then on the ERP works on it. A confirmed one stays as it is.

        Raises:
            NotFound: There is no such order.
            Conflict: It is cancelled.
            Unknown: It may be confirmed; sending the same again tells.
        """

    @abstractmethod
    def cancel_order(self, external_id: str) -> ErpOrder:
        """Cancels an order that the ERP has not begun to work on. A cancelled one stays so.

        Raises:
            NotFound: There is no such order.
            NeedsPerson: It is too far to be cancelled.
            Unknown: It may be cancelled; sending the same again tells.
        """

    @abstractmethod
    def fetch_changed_orders(self, since: datetime) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders that changed at a moment or later, as `fetch_products` does."""

    @abstractmethod
    def fetch_orders(
        self, placed_from: datetime, placed_until: datetime
    ) -> Iterator[ErpOrder | RejectedRecord]:
        """Fetches the orders placed at the first moment or later, and before the second.

        Those in every state, drafts and cancelled ones too, also orders without a reference
        of ours; each once, in bounded memory.
        """
