"""What the reference contract's answers say of products, prices, stock and companies.

Belongs here: telling a record from what is none, and an answer from what is none.
Does not belong here: orders (`rest_orders`), asking (`rest`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from commerce_pipelines.connectors.erp.port import Prices, PurchaseRules, RejectedRecord, Stock
from commerce_pipelines.connectors.erp.rest_fields import (
    LARGEST_COUNT,
    FieldError,
    Row,
    count_in,
    flag_in,
    moment_in,
    money_in,
    name_in,
    name_or_none,
    number_in,
    read_record,
    rows_in,
    text_in,
)
from commerce_pipelines.connectors.texts import LONGEST_NAME, header_safe, text_fault
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct, ErpVariant
from commerce_pipelines.domain.price_book import Company, PriceTier, StockLevel


def read_product(row: Row) -> ErpProduct:
    """Reads a product.

    Raises:
        FieldError: It is none.
    """
    revision = name_in(row, "revision")
    if not header_safe(revision):
        raise FieldError("revision cannot be sent back")
    variants = tuple(_variant(each) for each in rows_in(row, "variants"))
    if len({variant.external_id for variant in variants}) != len(variants):
        raise FieldError("two variants have one id")
    description = row.get("description")
    return ErpProduct(
        external_id=name_in(row, "id"),
        details=ErpDetails(
            title=text_in(row, "title"),
            description=None if description is None else text_in(row, "description"),
            variants=variants,
        ),
        is_active=flag_in(row, "active"),
        changed_at=moment_in(row, "changed_at"),
        revision=revision,
    )


def read_prices(body: Any, asked: Sequence[str]) -> Prices:
    """Reads the prices of the variants that were asked for.

    Raises:
        FieldError: It is no answer.
    """
    answer = object_of(body)
    found, rejected = _by_variant(answer, "prices", asked, _tiers)
    if all(each.external_id is not None for each in rejected):
        refused = {each.external_id for each in rejected}
        # What the ERP says nothing of is not for sale; unless that word could not be read.
        found |= {each: None for each in asked if each not in found and each not in refused}
    return Prices(moment_in(answer, "as_of"), found, rejected)


def read_stock(body: Any, asked: Sequence[str]) -> Stock:
    """Reads the stock of the variants that were asked for.

    Raises:
        FieldError: It is no answer.
    """
    answer = object_of(body)
    found, rejected = _by_variant(answer, "stock", asked, _level)
    return Stock(moment_in(answer, "as_of"), found, rejected)


def read_rules(body: Any, companies: Sequence[str], variants: Sequence[str]) -> PurchaseRules:
    """Reads who may not buy what; a rule that cannot be read makes it no answer.

    Raises:
        FieldError: It is no answer.
    """
    answer = object_of(body)
    rules = rows_in(answer, "forbidden")
    pairs = {(_asked_name(rule, "company"), name_in(rule, "variant")) for rule in rules}
    known_companies, known_variants = set(companies), set(variants)
    return PurchaseRules(
        moment_in(answer, "as_of"),
        frozenset(
            pair for pair in pairs if pair[0] in known_companies and pair[1] in known_variants
        ),
    )


def read_companies(body: Any, names: Sequence[str]) -> Mapping[str, Company]:
    """Reads companies; one that cannot be read makes it no answer.

    Raises:
        FieldError: It is no answer.
    """
    asked = set(names)
    found = {}
    for row in rows_in(object_of(body), "companies"):
        name = _asked_name(row, "name")
        group = row.get("customer_group")
        if fault := text_fault(group, LONGEST_NAME, blank=True):
            raise FieldError(f"customer_group {fault}")
        if name in asked:
            found[name] = Company(name, str(group))
    return found


def object_of(body: Any) -> Row:
    """Returns an answer that is an object.

    Raises:
        FieldError: It is something else.
    """
    if not isinstance(body, dict):
        raise FieldError("the answer is no object")
    return body


def _variant(row: Row) -> ErpVariant:
    options = tuple(
        (name_in(each, "name"), text_in(each, "value")) for each in rows_in(row, "options")
    )
    return ErpVariant(name_in(row, "id"), name_or_none(row, "sku"), text_in(row, "title"), options)


def _tiers(row: Row) -> tuple[PriceTier, ...] | None:
    if row.get("tiers") is None:
        return None
    listed = rows_in(row, "tiers")
    if all(each.get("amount") is None for each in listed):
        return None
    tiers = sorted(
        PriceTier(count_in(each, "min_quantity"), money_in(each, "amount")) for each in listed
    )
    quantities = [tier.min_quantity for tier in tiers]
    if quantities[0] != 1:
        raise FieldError("there is no price of a single one")
    if len(set(quantities)) != len(quantities):
        raise FieldError("two tiers begin at one quantity")
    return tuple(tiers)


def _level(row: Row) -> StockLevel:
    available = math.floor(number_in(row, "available"))
    if abs(available) > LARGEST_COUNT:
        raise FieldError("available is too large")
    return StockLevel(available, flag_in(row, "allows_out_of_stock"))


def _by_variant(
    answer: Row, field: str, asked: Sequence[str], read: Any
) -> tuple[dict[str, Any], tuple[RejectedRecord, ...]]:
    """Returns what was read by variant, and what could not be."""
    rows = answer.get(field)
    if not isinstance(rows, list):
        raise FieldError(f"{field} is no list")
    wanted = set(asked)
    found: dict[str, Any] = {}
    rejected: dict[str | None, RejectedRecord] = {}
    for row in rows:
        record = read_record(row, lambda each: (name_in(each, "variant"), read(each)))
        if isinstance(record, RejectedRecord):
            rejected[record.external_id] = record
            continue
        variant, value = record
        if variant in found and found[variant] != value:
            rejected[variant] = RejectedRecord(variant, "comes twice, with two contents")
        elif variant in wanted:
            found[variant] = value
    kept = {variant: value for variant, value in found.items() if variant not in rejected}
    return kept, tuple(rejected.values())


def _asked_name(row: Row, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise FieldError(f"{field} is no text")
    return value
