"""The ERP's products, in memory and, once changed, in the state file.

Belongs here: products and variants, in the order of their changes; the answers to
repeated requests. Does not belong here: prices and stock (`terms`), where the first
products come from (`seeds`), HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from commerce_pipelines.sandbox.erp import errors
from commerce_pipelines.sandbox.erp.commits import Commits
from commerce_pipelines.sandbox.erp.timeline import Timeline
from commerce_pipelines.sandbox.state_file import StateFile

Product = dict[str, Any]

_PRODUCTS, _KEYS = "erp/product", "erp/key"


class Products:
    """All products; whichever changed last stands last.

    A variant that is not on sale stays in its product, marked, and can come back.

    Args:
        state: Where changes survive a restart.
        commits: When a change is, and is seen.
    """

    def __init__(self, state: StateFile, commits: Commits) -> None:
        self._state = state
        self._commits = commits
        self._keys: dict[str, dict[str, Any]] = state.load(_KEYS)
        self._products: dict[str, Product] = {}
        self._owners: dict[str, str] = {}
        self.timeline = Timeline()

    def plant(self, seeds: Iterable[Product]) -> None:
        """Begins with these products and with the changes that were kept."""
        kept = self._state.load(_PRODUCTS)
        self._products = {seed["id"]: seed for seed in seeds} | kept
        self._products = {key: each for key, each in self._products.items() if each}
        self.timeline = Timeline((each["changed_at"], key) for key, each in self._products.items())
        self._owners = {
            variant["id"]: key
            for key, each in self._products.items()
            for variant in each["variants"]
        }

    def forget(self) -> None:
        """Forgets all changes."""
        self._state.clear(_PRODUCTS, _KEYS)
        self._keys.clear()
        self._commits.forget()

    def get(self, product_id: str) -> Product:
        """Returns a product as it is shown.

        Raises:
            ErpError: There is none.
        """
        return shown(self._found(product_id))

    def sells(self, variant_id: str) -> bool:
        """Tells whether a variant is on sale."""
        product = self._products.get(self._owners.get(variant_id, ""))
        return (
            product is not None
            and product["active"]
            and any(each["id"] == variant_id and each["on_sale"] for each in product["variants"])
        )

    def knows(self, variant_id: str) -> bool:
        """Tells whether there is a variant, on sale or not."""
        return variant_id in self._owners

    def all_ids(self) -> list[str]:
        """Returns the ids of all products."""
        return list(self._products)

    def write(
        self, product_id: str, asked: Mapping[str, Any], revision: str, key: str
    ) -> tuple[Product, bool]:
        """Changes a product once for each key; returns it as it is, and whether it was changed now.

        Raises:
            ErpError: There is none, it is at another revision, or the key was used for
                something else.
        """
        current = self._found(product_id)
        wanted = {"product": product_id, "asked": dict(asked)}
        if key in self._keys:
            if self._keys[key] != wanted:
                raise errors.key_reused()
            return shown(current), False
        if current["revision"] != revision:
            raise errors.revision_differs(product_id, current["revision"])
        changed = {
            **current,
            "title": asked["title"],
            "description": asked["description"],
            "variants": _merged(current, asked["variants"], may_name=False),
        }
        self._keep(changed, self._commits.begin(self.timeline.latest), {_KEYS: {key: wanted}})
        self._keys[key] = wanted
        return self.get(product_id), True

    def change_by_hand(
        self, product_id: str, changes: Mapping[str, Any], after_seconds: float
    ) -> None:
        """Changes or makes a product as a person there does; seen some seconds later."""
        moment = self._commits.begin(self.timeline.latest)

        def change() -> None:
            current = self._products.get(product_id) or _new(product_id)
            variants = changes.get("variants")
            merged = (
                current["variants"]
                if variants is None
                else _merged(current, variants, may_name=True)
            )
            # One that is committed late may not turn back a product that changed meanwhile.
            at = max(moment, current["changed_at"])
            self._keep({**current, **changes, "variants": merged}, at)

        self._commits.commit(change, after_seconds)

    def delete(self, product_id: str) -> None:
        """Removes a product; nothing is left of it."""
        product = self._found(product_id)
        self._state.save({_PRODUCTS: {product_id: False}})
        del self._products[product_id]
        self.timeline.drop(product_id)
        for variant in product["variants"]:
            self._owners.pop(variant["id"], None)

    def _found(self, product_id: str) -> Product:
        product = self._products.get(product_id)
        if product is None:
            raise errors.no_product(product_id)
        return product

    def _keep(
        self, product: Product, moment: str, more: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Makes a product the current one, durably first."""
        number = int(product["revision"].removeprefix("r")) + 1
        kept = {**product, "changed_at": moment, "revision": f"r{number}"}
        self._state.save({_PRODUCTS: {kept["id"]: kept}} | dict(more or {}))
        self._products[kept["id"]] = kept
        self.timeline.put(kept["id"], moment)
        self._owners |= {variant["id"]: kept["id"] for variant in kept["variants"]}


def shown(product: Product) -> Product:
    """Returns a product as callers see it: only with what is on sale."""
    variants = [
        {name: value for name, value in each.items() if name != "on_sale"}
        for each in product["variants"]
        if each["on_sale"]
    ]
    return {**product, "variants": variants}


def _new(product_id: str) -> Product:
    return {
        "id": product_id,
        "title": product_id,
        "description": None,
        "active": True,
        "variants": [],
        "changed_at": "",
        "revision": "r0",
    }


def _merged(
    product: Product, asked: Iterable[Mapping[str, Any]], *, may_name: bool
) -> list[dict[str, Any]]:
    """Returns the variants as asked for, and behind them those that are off sale now.

    Args:
        product: As it is.
        asked: What is to be on sale.
        may_name: Whether a new variant may come with an id.

    Raises:
        ErpError: A variant is not the product's.
    """
    known = {variant["id"] for variant in product["variants"]}
    merged = []
    for each in asked:
        variant_id = each["id"] or f"v-{secrets.token_hex(6)}"
        if each["id"] is not None and each["id"] not in known and not may_name:
            raise errors.no_variant(variant_id)
        merged.append({**each, "id": variant_id, "on_sale": True})
    listed = {variant["id"] for variant in merged}
    gone = [each for each in product["variants"] if each["id"] not in listed]
    return [*merged, *({**each, "on_sale": False} for each in gone)]
