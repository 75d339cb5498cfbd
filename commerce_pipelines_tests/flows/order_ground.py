"""Orders under Dagster, in this process, with an ERP made by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import dagster as dg

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.resources import ErpResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines_tests.services.order_desk import Desk


class HandMadeErp(ErpResource):
    """An ERP made by hand instead of the real one; one at a time, for Dagster copies resources."""

    by_hand: ClassVar[Erp]

    @property
    def is_configured(self) -> bool:
        """Tells that there is one."""
        return True

    def open(self, patience_seconds: float | None = None) -> Erp:
        """Returns it."""
        del patience_seconds
        return self.by_hand


@contextmanager
def open_desk(postgres_url: str, ledger: Ledger) -> Iterator[Desk]:
    """Points the resources at a test's store and at the ERP of a desk with nothing on it."""
    wanted = {
        "POSTGRES_URL": postgres_url,
        "SANITY_PROJECT_ID": "unasked",
        "SANITY_SECRET_TOKEN": "token",
    }
    desk = Desk(ledger)
    HandMadeErp.by_hand = desk.erp
    os.environ.update(wanted)
    yield desk
    for name in wanted:
        os.environ.pop(name, None)


def execute(
    desk: Desk, instance: dg.DagsterInstance, job: str, **options: Any
) -> dg.ExecuteInProcessResult:
    """Runs a job as a run worker does; a failure is in the result."""
    defs = build_defs(resource_overrides={"erp": HandMadeErp()})
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, **options
    )
