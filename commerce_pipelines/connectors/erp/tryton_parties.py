"""Parties in Tryton: the companies that buy, and who an order is for.

Belongs here: finding a company by its name, and the party and addresses of an order,
made where they are missing. Does not belong here: the order (`tryton_orders`).

A web shop's guest cannot be quoted anything, so a customer whom Tryton does not know
becomes a party of its own: one an e-mail address and company name, by a code made of
these. Parties and addresses stay when an order is cancelled; the next one takes them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from threading import Lock
from typing import Final

from commerce_pipelines.connectors.erp.tryton_prices import PriceReader
from commerce_pipelines.connectors.erp.tryton_products import OVERLAP
from commerce_pipelines.connectors.erp.tryton_records import MOST_IDS, Records
from commerce_pipelines.connectors.erp.tryton_shop import ShopReader
from commerce_pipelines.connectors.erp.tryton_wire import Domain, Row
from commerce_pipelines.domain.catalog import fold_name
from commerce_pipelines.domain.orders import Address, PlacedOrder
from commerce_pipelines.domain.price_book import EVERYBODY, Company
from commerce_pipelines.errors import Refused

_MODEL: Final = "party.party"


class PartyReader:
    """Finds companies by name.

    Tryton cannot fold names, so names are folded here: all are read once, then what has
    changed since.

    Args:
        records: The database.
        shops: The shop that sells.
        prices: The price lists.
    """

    def __init__(self, records: Records, shops: ShopReader, prices: PriceReader) -> None:
        self._records = records
        self._shops = shops
        self._prices = prices
        self._lock = Lock()
        self._folded: dict[int, str] = {}
        self._ids: dict[str, set[int]] = defaultdict(set)
        self._read_until: datetime | None = None

    def companies(self, names: Sequence[str]) -> dict[str, Company]:
        """Fetches companies by name; one that is not there is missing."""
        if not (parties := self.parties(names)):
            return {}
        # Everybody's list comes first there, and must be everybody's here too.
        known = reversed(self._prices.lists().items())
        groups = {each.id: group for group, each in known}
        lists = {name: row["sale_price_list"] for name, row in parties.items()}
        return {name: Company(name, groups.get(each, EVERYBODY)) for name, each in lists.items()}

    def parties(self, names: Sequence[str]) -> dict[str, Row]:
        """Fetches the parties of these names as they are now; of several, the oldest."""
        if not names:
            return {}
        with self._lock:
            self._read_names()
            ids = {name: sorted(self._ids.get(fold_name(name), ())) for name in names}
        rows = self._rows({number for each in ids.values() for number in each})
        found = {
            name: next((rows[number] for number in each if number in rows), None)
            for name, each in ids.items()
        }
        return {name: row for name, row in found.items() if row is not None}

    def _rows(self, ids: Iterable[int]) -> dict[int, Row]:
        rows: dict[int, Row] = {}
        ordered = sorted(ids)
        context = self._shops.shop().context
        for start in range(0, len(ordered), MOST_IDS):
            domain: Domain = [("id", "in", ordered[start : start + MOST_IDS])]
            fields = ["name", "sale_price_list"]
            found = self._records.search(_MODEL, domain, fields, context)
            rows |= {row["id"]: row for row in found}
        return rows

    def _read_names(self) -> None:
        since = None if self._read_until is None else self._read_until - OVERLAP
        context = self._shops.shop().everything
        for row in self._records.changes(_MODEL, [], ["name"], since, context):
            folded = fold_name(row["name"] or "")
            self._ids[self._folded.get(row["id"], folded)].discard(row["id"])
            self._folded[row["id"]] = folded
            self._ids[folded].add(row["id"])
            self._read_until = row["last_modified_at"]


class Buyers:
    """Finds or makes the party and the addresses of an order.

    Args:
        records: The database.
        shops: The shop that sells.
        parties: Finds companies.
    """

    def __init__(self, records: Records, shops: ShopReader, parties: PartyReader) -> None:
        self._records = records
        self._shops = shops
        self._parties = parties

    def party(self, order: PlacedOrder) -> int:
        """Returns the party of an order.

        Raises:
            Refused: It is not taken in this form.
        """
        name = order.company_name
        if name and (known := self._parties.parties([name]).get(name)):
            return int(known["id"])
        identity = f"{order.email.casefold()} {fold_name(name or '')}"
        code = f"WEB-{hashlib.sha256(identity.encode()).hexdigest()[:20].upper()}"
        context = self._shops.shop().everything
        domain: Domain = [("code", "=", code)]
        if found := self._records.search(_MODEL, domain, ["id"], context):
            return int(found[0]["id"])
        values = {"name": name or _person(order.billing_address) or "Customer", "code": code}
        mail = [["create", [{"type": "email", "value": order.email}]]]
        values_with_mail = {**values, "contact_mechanisms": mail, "addresses": []}
        made = self._records.create(_MODEL, values_with_mail, ["id"], context)
        if not isinstance(made, Refused):
            return int(made["id"])
        # Another process was quicker, or it was ours whose answer was lost.
        if found := self._records.search(_MODEL, domain, ["id"], context):
            return int(found[0]["id"])
        raise made

    def address(self, party: int, address: Address) -> int:
        """Returns an address of a party that says the same, made if there is none.

        Raises:
            Refused: Tryton does not know the country, or does not take it.
        """
        values = self._values(party, address)
        context = self._shops.shop().context
        domain: Domain = [(name, "=", value) for name, value in values.items()]
        if found := self._records.search("party.address", domain, ["id"], context, most=1):
            return int(found[0]["id"])
        made = self._records.create("party.address", values, ["id"], context)
        if isinstance(made, Refused):
            raise made
        return int(made["id"])

    def _values(self, party: int, address: Address) -> Row:
        country = self._country(address.country_code)
        province = self._province(country, address)
        lines = [address.address_1, address.address_2, None if province else address.province]
        return {
            "party": party,
            "party_name": address.company,
            "attn": _person(address),
            "street_unstructured": "\n".join(line for line in lines if line),
            "postal_code": address.postal_code,
            "city": address.city,
            "country": country,
            "subdivision": province,
        }

    def _country(self, code: str) -> int:
        domain: Domain = [("code", "=", code)]
        rows = self._records.search("country.country", domain, ["id"], self._shops.shop().context)
        if not rows:
            raise Refused(f"Tryton knows no country {code}; load its countries.")
        return int(rows[0]["id"])

    def _province(self, country: int, address: Address) -> int | None:
        if address.province is None:
            return None
        code = f"{address.country_code}-{address.province}".upper()
        named = ["OR", ("code", "=", code), ("name", "=", address.province)]
        domain: Domain = [("country", "=", country), named]
        context = self._shops.shop().context
        rows = self._records.search("country.subdivision", domain, ["id"], context, most=1)
        return int(rows[0]["id"]) if rows else None


def phones(*addresses: Address) -> list[str]:
    """Returns the telephone numbers of addresses, each once."""
    return list(dict.fromkeys(each.phone for each in addresses if each.phone))


def _person(address: Address) -> str | None:
    return " ".join(filter(None, (address.first_name, address.last_name))) or None
