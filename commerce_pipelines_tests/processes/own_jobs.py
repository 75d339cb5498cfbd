"""Jobs as a user may make them of our flow: op processes, and ops that are tried again.

Loaded by a code server of its own, which `own_code_server` starts beside a stack's.
"""

from __future__ import annotations

import dagster as dg

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.flows.hooks import compensate_at_once
from commerce_pipelines.flows.pim_import import import_pages
from commerce_pipelines.flows.resources import (
    BrandsResource,
    ErpResource,
    SanityResource,
    StoreResource,
)

TRIES = 3
# Shorter than the lease of the tests' stacks.
DELAY_SECONDS = 0.5


class ImpatientSanity(SanityResource):
    """The CMS, given up on at its first failure: the op is tried again instead."""

    def open(self, patience_seconds: float | None = None) -> Sanity:
        """Returns the CMS."""
        del patience_seconds
        return super().open(0.0)


plain = import_pages.to_job(
    name="own_import",
    resource_defs={
        "store": StoreResource(),
        "sanity": SanityResource(),
        "brands": BrandsResource(),
        "erp": ErpResource(),
    },
    hooks={compensate_at_once},
)
retried = import_pages.to_job(
    name="own_import_with_retries",
    resource_defs={
        "store": StoreResource(),
        "sanity": ImpatientSanity(),
        "brands": BrandsResource(),
        "erp": ErpResource(),
    },
    hooks={compensate_at_once},
    op_retry_policy=dg.RetryPolicy(max_retries=TRIES - 1, delay=DELAY_SECONDS),
)

defs = dg.Definitions(jobs=[plain, retried])
