"""What the ERP says of prices, stock and purchase rules into the price book, page by page.

    due variants, or those that messages name ──► ask the ERP ──► replace their rows

A page is up to `MOST_VARIANTS` variants, replaced in one commit. Nothing outside is
changed and an older word never replaces a newer one, so there is nothing to undo: the
saga of a refresh has no steps. It keeps a second refresh out and holds the messages
until the commit of their page. What fails a page: the ERP not answering; the others
are refreshed, and it comes again. What cannot be read keeps its old row, with its age.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.money import currency_code
from commerce_pipelines.domain.price_book import EVERYBODY
from commerce_pipelines.errors import (
    CommerceError,
    ConfigurationError,
    Fenced,
    InvalidInput,
)
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.services.price_answers import Answers, Questions, ask
from commerce_pipelines.services.price_changes import TOPIC, changed_variants
from commerce_pipelines.store import message_claims, messages, price_questions
from commerce_pipelines.store.price_book import Replaced, replace_prices, replace_rules
from commerce_pipelines.store.price_questions import Asked
from commerce_pipelines.store.stock_levels import replace_stock

KIND = "price_book_refresh"
# Name of the mark before which everything was declared out of date by a message.
MARK = "price_book"
MOST_VARIANTS: Final = 1_000
# So many pages in a row without an answer: the ERP is away, the rest would fail too.
MOST_FAILED: Final = 3
_NOTHING: Final = Replaced()


@dataclass(frozen=True)
class Page:
    """What became of a page.

    Attributes:
        variants: How many were asked about.
        faults: Why something could not be read, by our variant.
        error: Why all of it failed; it comes again.
    """

    variants: int
    prices: Replaced = _NOTHING
    stock: Replaced = _NOTHING
    rules: Replaced = _NOTHING
    faults: tuple[tuple[str, Sequence[str]], ...] = ()
    error: CommerceError | None = None


@dataclass(frozen=True)
class Claimed:
    """Messages of one page, in the hands of the refresh.

    Attributes:
        named: The variants that each names, by the ERP's ids.
    """

    named: dict[int, list[str]]

    @property
    def external_ids(self) -> list[str]:
        """Returns all of the variants, each once."""
        return list(dict.fromkeys(id_ for ids in self.named.values() for id_ in ids))


@dataclass(frozen=True)
class PriceBookRefresh:
    """The flow, with what it works on.

    Attributes:
        ledger: The ledger, in the store's database.
        erp: The ERP.
        run_id: Who is working.
        refresh_seconds: What is older than half of this is fetched: so a refresh that begins
            because one variant is that old takes the others with it.
        currency_codes: To ask prices in, separated by spaces; None for those of the store.
        most_seconds: After so long no page is begun; the next refresh goes on.
        page_size: How many variants are replaced in one commit.
    """

    ledger: Ledger
    erp: Erp
    run_id: str
    refresh_seconds: float
    currency_codes: str | None = None
    most_seconds: float = 1200.0
    page_size: int = MOST_VARIANTS

    def pages(self) -> Generator[Page, None, None]:
        """Refreshes what messages name and what is due, and yields page by page.

        Messages go first, also those that come meanwhile. The caller takes all pages, or closes.

        Raises:
            Busy: Another refresh is at work; it takes what waits.
            ConfigurationError: The settings name what is no currency.
            CommerceError: A page failed; those before are done, and for age those after.
        """
        saga_id = self._begin()
        with Saga.joined(
            self.ledger,
            saga_id,
            self.run_id,
            on_failure=lambda error: messages.failed(saga_id, error),
        ) as saga:
            questions, before = self._prepare(saga)
            yield from self._refresh(saga, questions, before)
            saga.succeed(price_questions.forget_gone)

    def _begin(self) -> str:
        saga_id = f"{KIND}-{uuid4().hex}"
        with self.ledger.engine.begin() as connection:
            self.ledger.begin(
                connection, saga_id=saga_id, kind=KIND, lock_key=KIND, run_id=self.run_id
            )
        return saga_id

    def _prepare(self, saga: Saga) -> tuple[Questions, datetime]:
        """Returns what to ask for, and before which moment a variant is due."""
        with self.ledger.own(saga.claim) as connection:
            now = price_questions.track_variants(connection)
            currencies = self._currencies(connection)
            companies = price_questions.active_companies(connection)
        known = self.erp.fetch_companies(list(companies.values())) if companies else {}
        groups = [
            (key, name, known[name].customer_group if name in known else EVERYBODY)
            for key, name in companies.items()
        ]
        with self.ledger.own(saga.claim) as connection:
            price_questions.save_companies(connection, groups, now)
        customer_groups = sorted({EVERYBODY, *(group for _, _, group in groups)})
        before = now - timedelta(seconds=self.refresh_seconds / 2)
        return Questions(currencies, customer_groups, companies), before

    def _currencies(self, connection: Connection) -> list[str]:
        if self.currency_codes is None:
            return price_questions.currencies(connection)
        try:
            codes = [currency_code(code) for code in self.currency_codes.split()]
        except ValueError as error:
            raise ConfigurationError(f"PRICE_BOOK_CURRENCIES: {error}.") from error
        return sorted(set(codes))

    def _refresh(self, saga: Saga, questions: Questions, before: datetime) -> Iterator[Page]:
        until_seconds = time.monotonic() + self.most_seconds
        failed: list[Page] = []
        in_a_row = 0
        skipped: list[str] = []
        while time.monotonic() < until_seconds and in_a_row < MOST_FAILED:
            claimed = self._claim(saga)
            if claimed is not None:
                yield from self._take_named(saga, claimed, questions)
                continue
            asked = self._next_due(before, skipped)
            if not asked.variants:
                break
            page = self._try(saga, asked, questions)
            if page.error is not None:
                failed.append(page)
                skipped += asked.variants.values()
            in_a_row = in_a_row + 1 if page.error else 0
            yield page
        if failed and failed[-1].error is not None:
            raise failed[-1].error

    def _next_due(self, before: datetime, skipped: Sequence[str]) -> Asked:
        with self.ledger.engine.connect() as connection:
            return price_questions.next_due(connection, before, MARK, self.page_size, skipped)

    def _try(self, saga: Saga, asked: Asked, questions: Questions) -> Page:
        """Refreshes a page; one that fails must not keep the others waiting."""
        try:
            answers = ask(self.erp, asked, questions)
            with self.ledger.own(saga.claim) as connection:
                return _replace(connection, asked, answers)
        except Fenced:
            raise
        except CommerceError as error:
            return Page(len(asked.variants), error=error)

    def _take_named(self, saga: Saga, claimed: Claimed, questions: Questions) -> Iterator[Page]:
        """Refreshes what messages name; they are done in the commit of the last of it."""
        ids = claimed.external_ids
        told: dict[str, Sequence[str]] = {}
        for first in range(0, len(ids), self.page_size):
            with self.ledger.engine.connect() as connection:
                asked = price_questions.named(connection, ids[first : first + self.page_size])
            answers = ask(self.erp, asked, questions)
            told |= {
                external_id: answers.faults[variant_id]
                for external_id, variant_id in asked.variants.items()
                if variant_id in answers.faults
            }
            with self.ledger.own(saga.claim) as connection:
                page = _replace(connection, asked, answers)
                if first + self.page_size >= len(ids):
                    _finish(connection, saga.saga_id, claimed, told)
            yield page

    def _claim(self, saga: Saga) -> Claimed | None:
        """Claims the next messages; None when none waits that names variants."""
        with self.ledger.own(saga.claim) as connection:
            ids = message_claims.claim_page(
                connection,
                topic=TOPIC,
                saga_id=saga.saga_id,
                run_id=self.run_id,
                most_items=self.page_size,
            )
            if not ids:
                return None
            claimed = _read(connection, saga.saga_id)
            if not claimed.external_ids:
                _finish(connection, saga.saga_id, claimed, {})
        return claimed


def _read(connection: Connection, saga_id: str) -> Claimed:
    """Reads the messages of a page; one that means all variants moves the mark."""
    named: dict[int, list[str]] = {}
    meaning_all = []
    for message in messages.load_claimed(connection, saga_id):
        try:
            variants = changed_variants(message.body)
        except InvalidInput as error:
            messages.bury(connection, message.id, str(error))
            continue
        named[message.id] = variants or []
        if variants is None:
            meaning_all.append(message.id)
    if meaning_all:
        price_questions.move_mark(connection, MARK, meaning_all)
    return Claimed(named)


def _replace(connection: Connection, asked: Asked, answers: Answers) -> Page:
    prices = replace_prices(connection, answers.prices)
    rules = replace_rules(connection, answers.rules)
    stock = replace_stock(connection, answers.stock)
    price_questions.note_asked(connection, asked, answers.faults)
    return Page(len(asked.variants), prices, stock, rules, tuple(answers.faults.items()))


def _finish(
    connection: Connection, saga_id: str, claimed: Claimed, told: Mapping[str, Sequence[str]]
) -> None:
    """Ends messages, and notes of each what could not be read."""
    outcomes = {
        message_id: {
            "variants": len(ids),
            "rejected": [
                {"position": position, "field": id_, "reason": "; ".join(told[id_])}
                for position, id_ in enumerate(ids)
                if id_ in told
            ],
        }
        for message_id, ids in claimed.named.items()
    }
    messages.note_outcomes(connection, outcomes)
    messages.finish(connection, saga_id)
