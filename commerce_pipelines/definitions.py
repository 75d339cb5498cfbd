"""Everything that Dagster loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from commerce_pipelines.flows import health, pim_import, recovery, retention
from commerce_pipelines.flows.resources import SanityResource, StoreResource


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Makes fresh definitions.

    Args:
        resource_overrides: Resources to use instead of the real ones, by name.
    """
    return dg.Definitions(
        assets=[pim_import.feed, pim_import.assets],
        asset_checks=health.asset_checks,
        jobs=[pim_import.job, recovery.job, retention.job],
        schedules=[retention.schedule],
        sensors=[pim_import.messages_sensor, recovery.sensor, health.sensor],
        resources={
            "store": StoreResource(),
            "sanity": SanityResource(),
            **(resource_overrides or {}),
        },
        executor=dg.in_process_executor,
    )


defs = build_defs()
