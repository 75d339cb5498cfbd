"""Syncs of the brands under Dagster: whole runs, the schedule's looks, and what they show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from commerce_pipelines.flows.brand_sync import WHOLE, WHOLE_CONFIG, schedule
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.services.brand_sync import KIND
from commerce_pipelines_tests.flows.brand_ground import ImpatientBrands, execute

BRANDS = dg.AssetKey(["store", "brands"])
COUNTED = ("created", "adopted", "updated", "gone", "unchanged", "refused", "lost", "rejected")


def read_whole(instance: dg.DagsterInstance) -> None:
    """Runs a sync of all brands."""
    assert execute(KIND, instance, WHOLE_CONFIG, tags=WHOLE).success


def tick(instance: dg.DagsterInstance, minute: int = 0) -> Any:
    """Lets the schedule look once, at a minute."""
    resources = {"store": StoreResource(), "brands": ImpatientBrands()}
    with dg.build_schedule_context(
        instance=instance,
        resources=resources,
        scheduled_execution_time=datetime(2026, 1, 1, 12, minute, tzinfo=UTC),
    ) as context:
        return schedule(context)


def skipped(instance: dg.DagsterInstance, minute: int = 0) -> str:
    """Lets the schedule look once and returns why it starts nothing."""
    told = tick(instance, minute)
    assert isinstance(told, dg.SkipReason)
    return str(told.skip_message)


def shown_by(instance: dg.DagsterInstance) -> dict[str, Any]:
    """Returns what the newest materialization shows."""
    made = instance.get_latest_materialization_event(BRANDS)
    assert made
    assert made.asset_materialization
    return dict(made.asset_materialization.metadata)


def counts(shown: dict[str, Any]) -> dict[str, int]:
    """Returns what a run did with brands."""
    return {name: shown[name].value for name in COUNTED if shown[name].value}
