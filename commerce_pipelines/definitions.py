"""Everything that Dagster loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from commerce_pipelines.flows import (
    brand_push,
    brand_sync,
    health,
    pim_import,
    recovery,
    retention,
)
from commerce_pipelines.flows.resources import BrandsResource, SanityResource, StoreResource


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Makes fresh definitions.

    Args:
        resource_overrides: Resources to use instead of the real ones, by name.
    """
    return dg.Definitions(
        assets=[pim_import.feed, pim_import.assets, brand_sync.foreign, brand_sync.assets],
        asset_checks=health.asset_checks,
        jobs=[pim_import.job, brand_sync.job, brand_push.job, recovery.job, retention.job],
        schedules=[brand_sync.schedule, retention.schedule],
        sensors=[
            pim_import.messages_sensor,
            brand_push.sensor,
            recovery.sensor,
            health.sensor,
        ],
        resources={
            "store": StoreResource(),
            "sanity": SanityResource(),
            "brands": BrandsResource(),
            **(resource_overrides or {}),
        },
        executor=dg.in_process_executor,
    )


defs = build_defs()
