"""Syncs of the ERP's products, with what they did and what can be bought then."""

from __future__ import annotations

from typing import Any

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.erp_product_sync import ErpProductSync, Synced
from commerce_pipelines_tests.services.erp_by_hand import FakeErp
from commerce_pipelines_tests.store.catalog import Catalog


def sync(ledger: Ledger, erp: FakeErp, *, whole: bool = False) -> Synced:
    """Syncs once."""
    flow = ErpProductSync(ledger, erp, "run", sleep=lambda _: None)
    return flow.sync(flow.find_start(whole=whole))


def counts(synced: Synced) -> dict[str, int]:
    """Returns what a sync did with products."""
    return {
        name: number
        for name, number in synced.counts.items()
        if number and name not in ("pages", "left")
    }


def shown(catalog: Catalog) -> list[tuple[Any, ...]]:
    """Returns the variants with their products and ids in the ERP."""
    return catalog.rows("""
        SELECT product.title, product.status, variant.title, variant.sku,
               (SELECT string_agg(external_id, ',') FROM external_id
                WHERE internal_id = variant.id AND system = 'erp') AS erp
        FROM product LEFT JOIN variant ON variant.product_id = product.id
        ORDER BY product.handle, variant.sku NULLS LAST, variant.title""")
