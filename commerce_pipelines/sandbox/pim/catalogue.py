"""The PIM's products.

Belongs here: the sample catalogue or another one, and changes to it. Does not
belong here: telling others about them (`deliveries.py`).
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.state_file import StateFile

Product = dict[str, Any]
_BUCKET = "pim/product"


class Catalogue:
    """Products by external id, in the order of the file.

    Args:
        state: Where changes survive a restart.
        seed: JSON file with an array of products, or an object with one under
            `products`; the sample catalogue if not given.

    Raises:
        ConfigurationError: The file is missing or holds no products.
    """

    def __init__(self, state: StateFile, seed: Path | None = None) -> None:
        self._state = state
        self._original = _load(seed)
        self._products = self._original | state.load(_BUCKET)

    def all(self) -> list[Product]:
        """Returns all products."""
        return list(self._products.values())

    def originals(self) -> list[Product]:
        """Returns the products of the file, without changes."""
        return list(self._original.values())

    def get(self, external_id: str) -> Product | None:
        """Returns one product."""
        return self._products.get(external_id)

    def change(self, external_id: str, changes: Product) -> Product | None:
        """Replaces some of a product's attributes; null removes one."""
        product = self._products.get(external_id)
        if product is None:
            return None
        merged = product | changes
        changed = {name: value for name, value in merged.items() if value is not None}
        self._state.save({_BUCKET: {external_id: changed}})
        self._products[external_id] = changed
        return changed

    def reset(self) -> None:
        """Forgets all changes."""
        self._state.clear(_BUCKET)
        self._products = dict(self._original)


def _load(seed: Path | None) -> dict[str, Product]:
    try:
        text = _sample() if seed is None else seed.read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"Cannot read the products in {seed}: {problem}") from problem
    products = content.get("products") if isinstance(content, dict) else content
    if not isinstance(products, list) or not all(isinstance(each, dict) for each in products):
        raise ConfigurationError(f"{seed} holds no array of products")
    return {_identity(product, at): product for at, product in enumerate(products)}


def _identity(product: Product, position: int) -> str:
    return str(product.get("external_id") or product.get("handle") or position)


def _sample() -> str:
    return resources.files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
