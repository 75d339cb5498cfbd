"""An ERP that stops working for us in the middle, and sagas that are given up over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.on_demand import on_demand
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.erp_products import ErpDetails, ErpProduct
from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.saga.compensation import MOST_TRIES
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import Addresses
from commerce_pipelines.services import recovery
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld


class RestlessErp(RestErp):
    """An ERP in which something happens right before each write."""

    before_write: Callable[[], object] = staticmethod(lambda: None)

    def write_product(
        self, external_id: str, details: ErpDetails, seen: ErpProduct, idempotency_key: str
    ) -> ErpProduct:
        """Has it happen, then writes."""
        self.before_write()
        return super().write_product(external_id, details, seen, idempotency_key)


@dataclass
class ErpScene:
    """The ERP of the sandbox, as we and its own people see it.

    Attributes:
        erp: Asked once each time, and never left alone.
        saga_id: The saga that the scene is about.
    """

    ledger: Ledger
    addresses: Addresses
    saga_id: str = ""
    _opened: list[RestErp] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.erp = self.open()
        self.world = SandboxWorld(self.addresses, self.erp)

    def open(self, kind: type[RestErp] = RestErp, api_key: str | None = None) -> Any:
        """Opens the ERP, with another key if asked to."""
        opened = kind.open(
            url=self.addresses["erp"]["url"],
            api_key=api_key or self.addresses["erp"]["api_key"],
            budget=UnlimitedBudget(),
            retry=RetryPolicy(budget_seconds=0.0),
            breaker=Breaker("The ERP", failures=1_000),
        )
        self._opened.append(opened)
        return opened

    def without_key(self) -> Erp:
        """Opens the ERP with a key that is no good any more."""
        erp: Erp = self.open(api_key="revoked")
        return erp

    def close(self) -> None:
        """Closes all that was opened."""
        for each in self._opened:
            each.close()

    def heal(self) -> None:
        """Ends all faults."""
        self.world.ask("DELETE", "")

    def sweep(self, erp: Erp | None = None) -> dict[str, int]:
        """Undoes and finishes all that is due, after all waiting times have passed."""
        self.change("UPDATE saga SET next_try_at = now()")
        self.change("UPDATE saga_step SET settle_at = now()")
        self.change("UPDATE saga SET lease_until = now() - interval '1 s' WHERE holder IS NOT NULL")
        sanity: Any = None
        return dict(
            recovery.sweep(recovery.compensator(self.ledger, sanity, None, erp or self.erp), "s")
        )

    def park(self, erp: Erp | None = None) -> None:
        """Lets the sweep try until it gives up."""
        for _ in range(MOST_TRIES):
            self.sweep(erp)
            if self.status() == "parked":
                return
        raise AssertionError(f"saga {self.saga_id} is {self.status()}")

    def status(self) -> str:
        """Returns the saga's status."""
        return str(self.rows("SELECT status FROM saga WHERE saga_id = :id", id=self.saga_id)[0][0])

    def change(self, statement: str, **names: object) -> None:
        """Changes rows."""
        with self.ledger.engine.begin() as connection:
            connection.execute(text(statement), names)

    def rows(self, query: str, **names: object) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self.ledger.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), names)]


@contextmanager
def dying(change: Callable[[str], object]) -> Iterator[None]:
    """Lets no saga succeed, so that a run dies with all done but the end."""
    change("ALTER TABLE saga ADD CONSTRAINT dies CHECK (status <> 'succeeded') NOT VALID")
    yield
    change("ALTER TABLE saga DROP CONSTRAINT dies")


def unconfigured() -> Erp:
    """Returns an ERP that nobody has configured."""
    return on_demand(_unset)


def _unset() -> Erp:
    raise ConfigurationError("Set ERP_URL and ERP_API_KEY.")
