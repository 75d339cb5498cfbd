"""The ERP by hand under Dagster, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import dagster as dg

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.resources import ErpResource
from commerce_pipelines_tests.services.erp_by_hand import FakeErp


class ErpByHand(ErpResource):
    """Hands out the ERP of a test."""

    erp: ClassVar[FakeErp]

    def open(self, patience_seconds: float | None = None) -> Erp:
        """Returns the ERP."""
        del patience_seconds
        return self.erp


@contextmanager
def configured_for(postgres_url: str, erp: FakeErp) -> Iterator[None]:
    """Points the resources at a test's systems, as the environment of a run does."""
    wanted = {
        "POSTGRES_URL": postgres_url,
        "ERP_URL": erp.url,
        "ERP_API_KEY": "unasked",
        "SANITY_PROJECT_ID": "unasked",
        "SANITY_SECRET_TOKEN": "token",
    }
    ErpByHand.erp = erp
    os.environ.update(wanted)
    yield
    for name in wanted:
        os.environ.pop(name, None)


def execute(
    job: str, instance: dg.DagsterInstance, config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    """Runs a job as a run worker does, with configs of its ops; a failure is in the result."""
    defs = build_defs(resource_overrides={"erp": ErpByHand()})
    ops = {name: {"config": each} for name, each in (config or {}).items()}
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, run_config={"ops": ops}
    )


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Returns the sentence that a failed run shows."""
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    shown = failure.step_failure_data.user_failure_data
    assert shown
    return str(shown.description)
