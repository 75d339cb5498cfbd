"""The price book under Dagster, in this process, with an ERP made by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from sqlalchemy import Engine

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.resources import ErpResource
from commerce_pipelines.services.price_book_refresh import KIND
from commerce_pipelines_tests.services.erp_prices import PricedErp, sold

OP = "refresh_price_book"


@contextmanager
def configured_for(postgres_url: str) -> Iterator[None]:
    """Points the resources at a test's store; nobody else is asked."""
    wanted = {"POSTGRES_URL": postgres_url, "ERP_URL": "http://erp.invalid", "ERP_API_KEY": "key"}
    os.environ.update(wanted)
    yield
    for name in wanted:
        os.environ.pop(name, None)


def selling_erp(engine: Engine) -> PricedErp:
    """Returns an ERP that sells two variants of ours."""
    erp = PricedErp()
    sold(engine, "a", "b")
    for variant in ("Ea", "Eb"):
        erp.price(variant, "9.99")
        erp.stock(variant, 5)
    return erp


def resource_of(erp: Erp) -> ErpResource:
    """Returns the resource that hands this ERP out."""

    class Handmade(ErpResource):
        def open(self, patience_seconds: float | None = None) -> Erp:
            del patience_seconds
            return erp

    return Handmade()


def execute(erp: Erp, instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    """Runs the job as a run worker does; a failure is in the result."""
    job = build_defs(resource_overrides={"erp": resource_of(erp)}).resolve_job_def(KIND)
    run_config = {"ops": {OP: {"config": config}}} if config else {}
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=run_config)
