"""Asking the ERP about some variants, and its answers as rows of the store.

Belongs here: what is asked, and what of the answers is no answer. Does not belong
here: which variants (`price_book_refresh.py`), and keeping the rows (`store`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from commerce_pipelines.connectors.erp.port import Erp, Prices, RejectedRecord
from commerce_pipelines.domain.price_book import fault_of
from commerce_pipelines.store.price_book import PriceRow, RuleRow
from commerce_pipelines.store.price_questions import Asked
from commerce_pipelines.store.stock_levels import StockRow

MOST_STOCK: Final = 2**31 - 1


@dataclass(frozen=True)
class Questions:
    """For what prices and rules are asked.

    Attributes:
        currencies: ISO 4217.
        customer_groups: `EVERYBODY` among them.
        companies: Names by key.
    """

    currencies: Sequence[str]
    customer_groups: Sequence[str]
    companies: Mapping[str, str]


@dataclass
class Answers:
    """What the ERP said of some variants.

    Attributes:
        prices: What could be read.
        stock: What could be read.
        rules: One a company and variant.
        faults: Why something could not be read, by our variant; its rows stay as they are.
    """

    prices: list[PriceRow] = field(default_factory=list)
    stock: list[StockRow] = field(default_factory=list)
    rules: list[RuleRow] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def ask(erp: Erp, asked: Asked, questions: Questions) -> Answers:
    """Asks the ERP for prices, stock and purchase rules of some variants.

    Raises:
        TransientError: It does not answer.
        PermanentError: It refuses.
    """
    answers = Answers()
    ids = list(asked.variants)
    if not ids:
        return answers
    for currency_code, customer_group in product(questions.currencies, questions.customer_groups):
        prices = erp.fetch_prices(ids, currency_code, customer_group)
        take_prices(answers, asked, prices, currency_code, customer_group)
    take_stock(answers, erp, asked)
    if questions.companies:
        take_rules(answers, erp, asked, questions.companies)
    return answers


def take_prices(
    answers: Answers, asked: Asked, prices: Prices, currency_code: str, customer_group: str
) -> None:
    """Takes an answer about prices; what is no answer is a fault."""
    about = f"price in {currency_code}" + (f" for {customer_group}" if customer_group else "")
    reasons = _reasons(prices.rejected)
    for external_id, variant_id in asked.variants.items():
        if external_id not in prices.tiers:
            reason = reasons.get(external_id, _SILENCE)
            answers.faults[variant_id].append(f"{about}: {reason}")
            continue
        tiers = prices.tiers[external_id] or ()
        fault = fault_of(tiers) if prices.tiers[external_id] is not None else None
        if fault is not None:
            answers.faults[variant_id].append(f"{about}: {fault}")
            continue
        quantities = [tier.min_quantity for tier in tiers]
        amounts = [tier.amount for tier in tiers]
        key = (variant_id, currency_code, customer_group)
        answers.prices.append(PriceRow(*key, quantities, amounts, prices.as_of, asked.at))


def take_stock(answers: Answers, erp: Erp, asked: Asked) -> None:
    """Asks for stock, and takes the answer."""
    stock = erp.fetch_stock(list(asked.variants))
    reasons = _reasons(stock.rejected)
    for external_id, variant_id in asked.variants.items():
        level = stock.levels.get(external_id)
        if level is None or abs(level.available) > MOST_STOCK:
            reason = reasons.get(external_id, _UNKNOWN if level is None else _TOO_MUCH)
            answers.faults[variant_id].append(f"stock: {reason}")
            continue
        row = (variant_id, level.available, level.allows_out_of_stock, stock.as_of, asked.at)
        answers.stock.append(StockRow(*row))


def take_rules(answers: Answers, erp: Erp, asked: Asked, companies: Mapping[str, str]) -> None:
    """Asks which of these companies may not buy what, and takes the answer."""
    rules = erp.fetch_purchase_rules(list(companies.values()), list(asked.variants))
    for (key, name), (external_id, variant_id) in product(
        companies.items(), asked.variants.items()
    ):
        is_allowed = (name, external_id) not in rules.forbidden
        answers.rules.append(RuleRow(variant_id, key, is_allowed, rules.as_of, asked.at))


def _reasons(rejected: Sequence[RejectedRecord]) -> dict[str | None, str]:
    return {record.external_id: record.reason for record in rejected}


_SILENCE: Final = "the ERP said nothing of it"
_UNKNOWN: Final = "the ERP does not know it"
_TOO_MUCH: Final = "more than can be"
