"""A flow with an ERP in a child process, which dies or freezes at a point."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import RateBudget, UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import order_export, order_status_import, product_update, recovery
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines.services.order_status_import import OrderStatusImport
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.crashes.points import Points, Stop
from commerce_pipelines_tests.crashes.traced import TracedHttp, trace_statements

LEASE_SECONDS = 20.0
RUN = "run-1"
APPLICATION = "crash"

Flow = Callable[[Ledger, Erp], None]
Adapter = Callable[[HttpSession, RateBudget], Erp]


@dataclass(frozen=True)
class Errand:
    """What a child is sent to do.

    Attributes:
        flow: Does what waits.
        adapter: Speaks with the ERP over a session.
        postgres_url: The store.
        erp_url: The ERP.
        erp_key: The ERP's key.
        notes: File for the names of the points.
        stop: Where it dies or freezes.
        settings: What its database sessions set.
    """

    flow: Flow
    adapter: Adapter
    postgres_url: str
    erp_url: str
    erp_key: str
    notes: Path
    stop: Stop | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def run(errand: Errand) -> None:
    """Does what waits, and undoes it at once where it fails; goes on where it was."""
    # Else the collector looks through, and so copies, all that is shared with the parent.
    gc.freeze()
    points = Points(errand.notes, errand.stop)
    engine = connect(errand.postgres_url, pool_size=2, application=APPLICATION)
    trace_statements(engine, points, errand.settings)
    http = TracedHttp(
        errand.erp_url,
        secret_headers={"Authorization": f"Bearer {errand.erp_key}"},
        retry=RetryPolicy(budget_seconds=0.0),
    )
    http.points = points
    ledger, erp = Ledger(engine, LEASE_SECONDS), errand.adapter(http, UnlimitedBudget())
    with suppress(CommerceError):
        errand.flow(ledger, erp)
        return
    recovery.compensate_run(compensator(ledger, erp), RUN)


def update_products(ledger: Ledger, erp: Erp) -> None:
    """Makes the changes of products that wait."""
    flow = ProductUpdate(ledger, erp, RUN)
    while saga_id := _begun(ledger, product_update.KIND) or flow.claim():
        flow.update(saga_id)


def export_orders(ledger: Ledger, erp: Erp) -> None:
    """Exports the orders that wait."""
    flow = OrderExport(ledger, erp, RUN)
    while saga_id := _begun(ledger, order_export.KIND) or flow.claim():
        flow.export(saga_id)


def import_statuses(ledger: Ledger, erp: Erp) -> None:
    """Applies the updates of orders that wait."""
    del erp
    flow = OrderStatusImport(ledger, RUN)
    while saga_id := _begun(ledger, order_status_import.KIND) or flow.claim():
        flow.apply(saga_id)


def sweep(ledger: Ledger, erp: Erp) -> None:
    """Undoes and finishes what is due."""
    recovery.sweep(compensator(ledger, erp), "sweep")


def compensator(ledger: Ledger, erp: Erp) -> Compensator:
    """Returns what undoes and finishes the sagas of these flows."""
    nobody: Any = None
    return recovery.compensator(ledger, nobody, None, erp)


def _begun(ledger: Ledger, kind: str) -> str | None:
    """Returns the running saga that an earlier process of this run has opened."""
    with ledger.engine.connect() as connection:
        return connection.execute(
            text("""
                SELECT saga_id FROM saga
                WHERE kind = :kind AND last_run_id = :run AND status = 'running'"""),
            {"kind": kind, "run": RUN},
        ).scalar_one_or_none()
