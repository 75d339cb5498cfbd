"""What the ERP has from the start.

Belongs here: the sample, another file, products made by number for a load. Does not
belong here: changes. Without a word about the ERP in the file, it sells what the PIM
has, under the same SKUs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.erp.sample import from_catalogue, moment_at, with_state
from commerce_pipelines.sandbox.erp.terms import EVERYBODY, PriceKey
from commerce_pipelines.sandbox.moments import moment_text

Record = dict[str, Any]


@dataclass(frozen=True)
class Seeds:
    """The first records, as the ERP keeps them."""

    products: list[Record] = field(default_factory=list)
    prices: dict[PriceKey, Any] = field(default_factory=dict)
    stock: dict[str, Record] = field(default_factory=dict)
    companies: list[Record] = field(default_factory=list)
    orders: list[Record] = field(default_factory=list)


def load_seeds(seed: Path | None, catalogue: Iterable[Record]) -> Seeds:
    """Returns the first records.

    Args:
        seed: JSON file, an object with one under `erp`: `products`, `prices`, `stock`,
            `companies` and `orders` in the contract's form, and `generate` with
            `products` and `variants`, to make so many.
        catalogue: The PIM's products, which are sold if the file says nothing of the ERP.

    Raises:
        ConfigurationError: The file cannot be read, or holds records that are none.
    """
    try:
        content = None if seed is None else json.loads(seed.read_text(encoding="utf-8"))
        given = content.get("erp") if isinstance(content, dict) else None
        if given is None:
            return _seeds(from_catalogue(catalogue, json.loads(_sample())))
        return _merged(_seeds(given), generated(**given.get("generate", {"products": 0})))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        kind = type(problem).__name__
        raise ConfigurationError(f"Cannot read the ERP in {seed}: {kind} {problem}") from problem


def generated(products: int, variants: int = 1) -> Seeds:
    """Returns so many products, with so many variants each, priced and in stock."""
    made: list[Record] = []
    prices: dict[PriceKey, Any] = {}
    stock: dict[str, Record] = {}
    for number in range(products):
        listed = [_generated_variant(number, each) for each in range(variants)]
        title = f"Generated {number:06}"
        made.append(
            with_state({"id": f"g-{number:06}", "title": title, "variants": listed}, number)
        )
        for variant in listed:
            cents = 100 + number % 9_900
            for code, amount in (("EUR", cents), ("USD", cents * 11 // 10)):
                prices[variant["id"], code, EVERYBODY] = [
                    {"min_quantity": 1, "amount": f"{amount / 100:.2f}"},
                    {"min_quantity": 10, "amount": f"{amount * 0.9 / 100:.4f}"},
                ]
            stock[variant["id"]] = {"available": str(number % 200), "allows_out_of_stock": False}
    return Seeds(made, prices, stock)


def _generated_variant(number: int, position: int) -> Record:
    return {
        "id": f"gv-{number:06}-{position}",
        "sku": f"GEN-{number:06}-{position}",
        "title": f"Size {position}",
        "options": [{"name": "Size", "value": str(position)}],
    }


def _seeds(given: Record) -> Seeds:
    return Seeds(
        products=[with_state(each, at) for at, each in enumerate(given.get("products", []))],
        prices={
            (each["variant"], each["currency_code"], each.get("customer_group", "")): each["tiers"]
            for each in given.get("prices", [])
        },
        stock={
            each["variant"]: {
                "available": each["available"],
                "allows_out_of_stock": each.get("allows_out_of_stock", False),
            }
            for each in given.get("stock", [])
        },
        companies=[
            {"customer_group": "", "forbidden": [], **each} for each in given.get("companies", [])
        ],
        orders=[_order(each, at) for at, each in enumerate(given.get("orders", []))],
    )


def _order(order: Record, position: int) -> Record:
    usual: Record = {
        "id": f"o-{position + 1:06}",
        "number": f"SO-{position + 1:06}",
        "reference": None,
        "status": "draft",
        "lines": [],
        "changed_at": moment_at(position),
    }
    needed = {name: order[name] for name in ("currency_code", "total")}
    placed_at = moment_text(datetime.fromisoformat(order["placed_at"]))
    return {**usual, **order, **needed, "placed_at": placed_at}


def _merged(one: Seeds, other: Seeds) -> Seeds:
    return Seeds(
        one.products + other.products,
        one.prices | other.prices,
        one.stock | other.stock,
        one.companies,
        one.orders,
    )


def _sample() -> str:
    return resources.files(__package__).joinpath("erp.json").read_text(encoding="utf-8")
