"""Asking the ERP while somebody waits: a little time, each question once, the answer kept.

    attempt ──► settled
       ▲  └──► open questions ──► asked, all at once ──► kept in the price book ─┐
       └─────────────────────────────────────────────────────────────────────────┘

An attempt is one transaction that either settles something or names what the ERP must be
asked first; it is then made again. So the ERP is never asked while rows are locked, and
an answer is used only after it is kept. Does not belong here: what is asked for which
purpose (`pricing`, `checkout`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.domain.price_book import EVERYBODY
from commerce_pipelines.domain.pricing import Part
from commerce_pipelines.errors import CommerceError, Unavailable
from commerce_pipelines.services.price_answers import Answers, take_prices, take_rules, take_stock
from commerce_pipelines.store.price_book import replace_prices, replace_rules
from commerce_pipelines.store.price_questions import Asked, save_companies
from commerce_pipelines.store.stock_levels import replace_stock

MOST_AT_ONCE: Final = 20
# For what can be shown with its age, nobody waits longer for something newer.
DISPLAY_SECONDS: Final = 0.1
RETRY_AFTER_SECONDS: Final = 2.0

T = TypeVar("T")


class Matter(NamedTuple):
    """One thing that the ERP says, to tell whether it was asked.

    Attributes:
        about: Our variant, or a company's key.
    """

    part: Part
    about: str
    customer_group: str = EVERYBODY


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask the ERP; equal ones are asked once.

    Attributes:
        variants: The ERP's id and ours of each.
        company: Its key and its name.
        at: The moment before, by the store's clock.
    """

    part: Part
    at: datetime = field(compare=False)
    variants: tuple[tuple[str, str], ...] = ()
    company: tuple[str, str] = ("", "")
    currency_code: str = ""
    customer_group: str = EVERYBODY

    @property
    def matters(self) -> list[Matter]:
        """Returns what it asks, one by one."""
        if self.part is Part.GROUP:
            return [Matter(self.part, self.company[0])]
        return [Matter(self.part, id_, self.customer_group) for _, id_ in self.variants]


@dataclass(frozen=True, slots=True)
class Open:
    """What must be asked before an attempt can be settled.

    Attributes:
        can_do_without: There is an older word for each that may be shown.
    """

    questions: Collection[Question]
    can_do_without: bool = False


@dataclass
class Inquired:
    """What has been asked for one purpose, and what came of it.

    Attributes:
        budget_seconds: For all the asking together.
        fresh_seconds: What the ERP said no longer ago need not be asked.
        is_display: What is old may be shown, so nobody waits long for what is new.
        outcomes: Why there is no answer; None where there is one.
        unread: What was answered in a way that cannot be read.
    """

    budget_seconds: float
    fresh_seconds: float
    is_display: bool = False
    outcomes: dict[Matter, CommerceError | None] = field(default_factory=dict)
    unread: set[Matter] = field(default_factory=set)
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        """Starts the clock."""
        self._deadline = time.monotonic() + self.budget_seconds

    def patience_seconds(self, open_: Open) -> float:
        """Returns how long the answers may be waited for."""
        left = max(0.0, self._deadline - time.monotonic())
        return min(left, DISPLAY_SECONDS) if self.is_display and open_.can_do_without else left

    def note(self, asked: Mapping[Question, Future[Kept]]) -> None:
        """Notes what came of questions; one without an answer by now has none."""
        for question, answer in asked.items():
            error = answer.exception() if answer.done() else _silence()
            if error is not None and not isinstance(error, CommerceError):
                raise error
            self.outcomes.update(dict.fromkeys(question.matters, error))
            if error is None:
                kept = answer.result()
                self.unread.update(each for each in question.matters if each.about not in kept)


# The variants, or the company, of which the store knows the answer now, or a newer one.
Kept = frozenset[str]
Attempt = Callable[[Connection, Inquired], T | Open]


class Enquiries:
    """The questions that are under way in this process.

    Args:
        engine: The store.
        erp: Who is asked; None while there is none.
        budget_seconds: How long somebody waits.
        fresh_seconds: What the ERP said no longer ago is not asked again.
    """

    def __init__(
        self, engine: Engine, erp: Erp | None, *, budget_seconds: float, fresh_seconds: float
    ) -> None:
        self._engine = engine
        self._erp = erp
        self._budget_seconds = budget_seconds
        self._fresh_seconds = fresh_seconds
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="erp")
        self._under_way: dict[Question, Future[Kept]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forgets what has not been asked yet; what has been ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self, *, is_display: bool = False) -> Inquired:
        """Returns what has been asked so far for a new purpose: nothing."""
        return Inquired(self._budget_seconds, self._fresh_seconds, is_display)

    def settle(self, attempt: Attempt[T], *, is_display: bool = False) -> T:
        """Makes attempts until one is settled.

        Raises:
            CommerceError: What the attempt raises.
        """
        inquired = self.begin(is_display=is_display)
        while True:
            with self._engine.begin() as connection:
                outcome = attempt(connection, inquired)
            if not isinstance(outcome, Open):
                return outcome
            asked = self.ask(outcome)
            wait(asked.values(), inquired.patience_seconds(outcome))
            inquired.note(asked)

    def ask(self, open_: Open) -> dict[Question, Future[Kept]]:
        """Asks, and returns at once; what is asked already is not asked again."""
        return {question: self._ask(question) for question in open_.questions}

    def _ask(self, question: Question) -> Future[Kept]:
        with self._lock:
            answer = self._under_way.get(question)
            if answer is None:
                answer = self._threads.submit(self._answer, question)
                self._under_way[question] = answer
        answer.add_done_callback(lambda _: self._forget(question, answer))
        return answer

    def _forget(self, question: Question, answer: Future[Kept]) -> None:
        with self._lock:
            if self._under_way.get(question) is answer:
                del self._under_way[question]

    def _answer(self, question: Question) -> Kept:
        if self._erp is None:
            raise Unavailable("There is no ERP: ERP_URL or ERP_API_KEY is not set.")
        keep = _KEEPING[question.part](self._erp, question)
        with self._engine.begin() as connection:
            return keep(connection)


Keep = Callable[[Connection], Kept]


def _group(erp: Erp, question: Question) -> Keep:
    key, name = question.company
    known = erp.fetch_companies([name]).get(name)
    row = (key, name, known.customer_group if known else EVERYBODY)

    def keep(connection: Connection) -> Kept:
        save_companies(connection, [row], question.at)
        return frozenset([key])

    return keep


def _price(erp: Erp, question: Question) -> Keep:
    answers, asked = Answers(), _asked(question)
    currency, group = question.currency_code, question.customer_group
    prices = erp.fetch_prices(list(asked.variants), currency, group)
    take_prices(answers, asked, prices, currency, group)
    return partial(_keep, replace_prices, answers.prices)


def _stock(erp: Erp, question: Question) -> Keep:
    answers = Answers()
    take_stock(answers, erp, _asked(question))
    return partial(_keep, replace_stock, answers.stock)


def _rule(erp: Erp, question: Question) -> Keep:
    answers = Answers()
    take_rules(answers, erp, _asked(question), dict([question.company]))
    return partial(_keep, replace_rules, answers.rules)


def _keep(replace: Callable[..., object], rows: Sequence[Any], connection: Connection) -> Kept:
    if rows:
        replace(connection, rows)
    return frozenset(row.variant_id for row in rows)


def _asked(question: Question) -> Asked:
    return Asked(dict(question.variants), question.at)


def _silence() -> Unavailable:
    return Unavailable("The ERP does not answer.", retry_after_seconds=RETRY_AFTER_SECONDS)


_KEEPING: Final = {
    Part.GROUP: _group,
    Part.PRICE: _price,
    Part.STOCK: _stock,
    Part.RULE: _rule,
}
