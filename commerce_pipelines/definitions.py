"""Everything that Dagster loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from commerce_pipelines.flows import (
    brand_push,
    brand_sync,
    erp_product_sync,
    health,
    order_export,
    order_reconciliation,
    order_status_import,
    orders,
    pim_import,
    price_book_checks,
    price_book_refresh,
    price_quote,
    product_update,
    recovery,
    reservation_release,
    retention,
)
from commerce_pipelines.flows.resources import (
    BrandsResource,
    ErpResource,
    SanityResource,
    StoreResource,
)


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Makes fresh definitions.

    Args:
        resource_overrides: Resources to use instead of the real ones, by name.
    """
    reconciled = order_reconciliation.assets()
    reconciliation = order_reconciliation.job(reconciled)
    return dg.Definitions(
        assets=[
            pim_import.feed,
            pim_import.assets,
            brand_sync.foreign,
            brand_sync.assets,
            price_book_refresh.assets(),
            *orders.specs,
            reconciled,
        ],
        asset_checks=[
            *health.asset_checks,
            *price_book_checks.asset_checks,
            order_reconciliation.check,
        ],
        jobs=[
            pim_import.job,
            brand_sync.job,
            brand_push.job,
            price_book_refresh.job,
            price_quote.job,
            reservation_release.job,
            order_export.job,
            order_status_import.job,
            reconciliation,
            recovery.job,
            retention.job,
        ],
        schedules=[
            brand_sync.schedule,
            erp_product_sync.schedule(),
            order_status_import.schedule,
            order_reconciliation.schedule(reconciliation),
            retention.schedule,
        ],
        sensors=[
            pim_import.messages_sensor,
            brand_push.sensor,
            product_update.sensor,
            price_book_refresh.sensor,
            reservation_release.sensor,
            order_export.sensor,
            order_status_import.sensor,
            recovery.sensor,
            health.sensor,
        ],
        resources={
            "store": StoreResource(),
            "sanity": SanityResource(),
            "brands": BrandsResource(),
            "erp": ErpResource(),
            **(resource_overrides or {}),
        },
        executor=dg.in_process_executor,
    )


defs = build_defs()
