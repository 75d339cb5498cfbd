"""The ERP whole: what it has, from where, and a fresh start.

Belongs here: its parts together. Does not belong here: HTTP.
"""

from __future__ import annotations

from typing import Any

from commerce_pipelines.sandbox.erp.commits import Commits
from commerce_pipelines.sandbox.erp.orders import Orders
from commerce_pipelines.sandbox.erp.products import Products
from commerce_pipelines.sandbox.erp.seeds import Seeds, generated
from commerce_pipelines.sandbox.erp.terms import Terms
from commerce_pipelines.sandbox.state_file import StateFile

SYSTEM = "erp"
_GENERATED = "erp/generated"
_SIZE = "size"


class ErpSystem:
    """Products, terms and orders.

    Args:
        state: Where changes survive a restart.
        seeds: What a new one has; its records are replaced by changes, and stay as they are.
    """

    def __init__(self, state: StateFile, seeds: Seeds) -> None:
        self._state = state
        self._seeds = seeds
        self._size: dict[str, Any] | None = state.load(_GENERATED).get(_SIZE)
        self.commits = Commits()
        self.products = Products(state, self.commits)
        self.terms = Terms(state)
        self.orders = Orders(state, self.commits)
        self._plant()

    def generate(self, size: dict[str, Any]) -> None:
        """Has so many made products instead of the seeds, and keeps to that."""
        self.products.forget()
        self.terms.forget()
        self._state.save({_GENERATED: {_SIZE: size}})
        self._size = size
        self._plant()

    def reset(self) -> None:
        """Goes back to the seeds."""
        self.products.forget()
        self.terms.forget()
        self.orders.forget()
        self._state.clear(_GENERATED)
        self._size = None
        self._plant()

    def _plant(self) -> None:
        seeds = self._seeds
        goods = seeds if self._size is None else generated(**self._size)
        self.products.plant(goods.products)
        self.terms.plant(goods.prices, goods.stock, seeds.companies)
        self.orders.plant(seeds.orders)
