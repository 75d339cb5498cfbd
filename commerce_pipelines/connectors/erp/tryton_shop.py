"""The web shop in Tryton that we sell for, and what follows from it.

Belongs here: what is read once and is the ground of every other request: company,
currency, warehouses, price list, and which modules there are. Does not belong here:
what changes from day to day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from commerce_pipelines.connectors.erp.tryton_records import Records
from commerce_pipelines.connectors.erp.tryton_wire import Row
from commerce_pipelines.errors import ConfigurationError

_FIELDS: Final = ("company.currency", "language.code", "warehouses", "sale_price_list")


@dataclass(frozen=True, slots=True)
class Shop:
    """A web shop.

    Attributes:
        company_currency: What prices are kept in there.
        currencies: Ids by ISO 4217 code.
        price_list: Of customers without a list of their own; None for the list prices.
        attributes: Whether variants have attributes.
        supplies: Whether a sale may be what goods are bought for.
    """

    id: int
    company: int
    company_currency: int
    currencies: Mapping[str, int]
    warehouses: tuple[int, ...]
    price_list: int | None
    language: str | None
    attributes: bool
    supplies: bool

    @property
    def context(self) -> dict[str, Any]:
        """Returns what each request says of itself.

        Without a company no price is read. With fuzzy translations names come from the
        database; without, each of Tryton's processes keeps them for up to five minutes
        (`cache.clean_timeout`) after another one has changed them.
        """
        language = {"language": self.language} if self.language else {}
        return {"company": self.company, "fuzzy_translation": True, **language}

    @property
    def everything(self) -> dict[str, Any]:
        """Returns the same for requests that see deactivated records too."""
        return {**self.context, "active_test": False}

    @property
    def unattended(self) -> dict[str, Any]:
        """Returns the same for writes with nobody there whom Tryton could warn."""
        return {**self.everything, "_skip_warnings": True}

    def currency_code(self, currency: int) -> str:
        """Returns the code of a currency.

        Raises:
            ValueError: It is not known.
        """
        for code, each in self.currencies.items():
            if each == currency:
                return code
        raise ValueError("has a currency that is not known")


class ShopReader:
    """Reads the shop when it is first needed, once.

    Args:
        records: The database.
        name: The shop's name.
    """

    def __init__(self, records: Records, name: str) -> None:
        self._records = records
        self._name = name
        self._lock = Lock()
        self._shop: Shop | None = None

    def shop(self) -> Shop:
        """Returns the shop.

        Raises:
            ConfigurationError: There is none of this name, or it cannot be sold from.
            CommerceError: It cannot be read.
        """
        with self._lock:
            if self._shop is None:
                self._shop = self._read()
            return self._shop

    def _read(self) -> Shop:
        modules = self._modules()
        rows = self._records.search("web.shop", [("name", "=", self._name)], _FIELDS)
        if len(rows) != 1:
            raise ConfigurationError(f"Tryton has no web shop {self._name!r}; see ERP_SHOP.")
        (row,) = rows
        if not row["warehouses"]:
            raise ConfigurationError(f"The web shop {self._name!r} in Tryton has no warehouse.")
        currencies = self._records.read("currency.currency", [], ["code"])
        return Shop(
            id=row["id"],
            company=row["company"]["id"],
            company_currency=row["company"]["currency"],
            currencies={each["code"]: each["id"] for each in currencies if each["code"]},
            warehouses=tuple(row["warehouses"]),
            price_list=row["sale_price_list"] or self._usual_price_list(row["company"]["id"]),
            language=_code_of(row["language"]),
            attributes="product_attribute" in modules,
            supplies="sale_supply" in modules,
        )

    def _modules(self) -> set[str]:
        rows = self._records.search("ir.module", [("state", "=", "activated")], ["name"])
        modules = {str(row["name"]) for row in rows}
        if missing := sorted({"web_shop", "sale_price_list"} - modules):
            raise ConfigurationError(f"Tryton lacks the modules {', '.join(missing)}.")
        return modules

    def _usual_price_list(self, company: int) -> int | None:
        rows = self._records.search(
            "sale.configuration", [], ["sale_price_list"], {"company": company}
        )
        return rows[0]["sale_price_list"] if rows else None


def _code_of(language: Row | None) -> str | None:
    return str(language["code"]) if language else None
