"""Both sides of the brands under Dagster, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.resources import BrandsResource
from commerce_pipelines.sandbox.server import Addresses


class ImpatientBrands(BrandsResource):
    """The brand system, given up on at its first failure."""

    def open(self, patience_seconds: float | None = None) -> BrandSystem:
        """Returns the brand system."""
        del patience_seconds
        return super().open(0.0)


@contextmanager
def configured_for(postgres_url: str, addresses: Addresses) -> Iterator[None]:
    """Points the resources at a test's systems, as the environment of a run does."""
    wanted = {
        "POSTGRES_URL": postgres_url,
        "BRANDS_URL": addresses["brands"]["url"],
        "BRANDS_API_KEY": addresses["brands"]["api_key"],
        # Not asked.
        "SANITY_PROJECT_ID": "unasked",
        "SANITY_SECRET_TOKEN": "token",
    }
    os.environ.update(wanted)
    yield
    for name in wanted:
        os.environ.pop(name, None)


def execute(
    job: str, instance: dg.DagsterInstance, run_config: dict[str, Any] | None = None, **options: Any
) -> dg.ExecuteInProcessResult:
    """Runs a job as a run worker does; a failure is in the result."""
    defs = build_defs(resource_overrides={"brands": ImpatientBrands()})
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, run_config=run_config or {}, **options
    )


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Returns the sentence that a failed run shows."""
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    shown = failure.step_failure_data.user_failure_data
    assert shown
    return str(shown.description)


def logged(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[str]:
    """Returns what a run's ops have said."""
    entries = instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if entry.dagster_event is None]
