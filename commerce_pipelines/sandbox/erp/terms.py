"""On which terms the ERP sells: prices, stock, companies and what they may not buy.

Belongs here: these, in memory and, once changed, in the state file. Does not belong
here: products (`products`), where the first terms come from (`seeds`), HTTP. Values
are kept as they are set, also where they are none: a test may want a broken ERP.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from commerce_pipelines.sandbox.state_file import StateFile

_PRICES, _STOCK, _COMPANIES = "erp/price", "erp/stock", "erp/company"
EVERYBODY = ""

PriceKey = tuple[str, str, str]


@dataclass
class Terms:
    """All terms.

    Attributes:
        prices: Tiers by variant, currency and customer group; None for none.
        stock: `available` and `allows_out_of_stock` by variant.
        companies: `name`, `customer_group` and `forbidden` variants by folded name.
    """

    state: StateFile
    prices: dict[PriceKey, Any] = field(default_factory=dict)
    stock: dict[str, dict[str, Any]] = field(default_factory=dict)
    companies: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)

    def plant(
        self,
        prices: Mapping[PriceKey, Any],
        stock: Mapping[str, dict[str, Any]],
        companies: Iterable[dict[str, Any]],
    ) -> None:
        """Begins with these terms and with the changes that were kept."""
        kept = self.state.load(_PRICES).items()
        self.prices = dict(prices) | {_price_key(key): tiers["tiers"] for key, tiers in kept}
        self.stock = dict(stock) | self.state.load(_STOCK)
        self.companies = {folded(each["name"]): each for each in companies}
        self.companies |= self.state.load(_COMPANIES)
        self.groups = {group for _, _, group in self.prices} | {EVERYBODY}
        self.groups |= {each["customer_group"] for each in self.companies.values()}

    def forget(self) -> None:
        """Forgets all changes."""
        self.state.clear(_PRICES, _STOCK, _COMPANIES)

    def price(self, variant: str, currency_code: str, group: str) -> Any:
        """Returns what a group pays: its own price, else everybody's; None if nothing is sold."""
        if group not in self.groups:
            return None
        own = variant, currency_code, group
        return self.prices.get(own, self.prices.get((variant, currency_code, EVERYBODY)))

    def set_price(self, variant: str, currency_code: str, group: str, tiers: Any) -> None:
        """Sets what a group pays, whatever it is; None: it cannot buy."""
        key = variant, currency_code, group
        self.state.save({_PRICES: {json.dumps(key): {"tiers": tiers}}})
        self.prices[key] = tiers
        self.groups.add(group)

    def set_stock(self, variant: str, level: dict[str, Any]) -> None:
        """Sets what can be sold."""
        self.state.save({_STOCK: {variant: level}})
        self.stock[variant] = level

    def set_company(self, company: dict[str, Any]) -> None:
        """Sets a company; one of the same name is replaced."""
        key = folded(company["name"])
        self.state.save({_COMPANIES: {key: company}})
        self.companies[key] = company
        self.groups.add(company["customer_group"])

    def company(self, name: str) -> dict[str, Any] | None:
        """Returns a company."""
        return self.companies.get(folded(name))


def folded(name: str) -> str:
    """Returns what two spellings of one name have in common."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(each for each in decomposed if not unicodedata.combining(each))
    return " ".join(plain.split())


def _price_key(text: str) -> PriceKey:
    variant, currency_code, group = json.loads(text)
    return variant, currency_code, group
