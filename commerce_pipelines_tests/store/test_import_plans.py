"""A page takes as long in a large store as in a small one."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, text

from commerce_pipelines.domain.erp_feed import feed_page
from commerce_pipelines.domain.erp_products import ErpProduct
from commerce_pipelines.store.catalog_import import upsert_products
from commerce_pipelines_tests.services.erp_by_hand import details, erp_variant
from commerce_pipelines_tests.store.plans import rows_read, watch

PRODUCTS = 20
TABLES = ("external_id", "product", "variant")
FILL = """
    INSERT INTO product (id, title, handle)
    SELECT 'prod_' || n, 'Known ' || n, 'known-' || n FROM generate_series(1, 20000) AS n;
    INSERT INTO variant (id, product_id, position, title, options)
    SELECT 'variant_' || n, 'prod_' || n, 0, '', '{}' FROM generate_series(1, 20000) AS n;
    INSERT INTO external_id (system, entity, external_id, internal_id)
    SELECT 'erp', 'variant', 'known-' || n, 'variant_' || n FROM generate_series(1, 20000) AS n
    UNION ALL
    SELECT 'erp', 'product', 'known-' || n, 'prod_' || n FROM generate_series(1, 20000) AS n"""


def test_a_page_reads_of_a_large_store_only_what_it_is_about(engine: Engine) -> None:
    rows, _ = feed_page([product(number) for number in range(PRODUCTS)])
    with engine.begin() as connection:
        connection.execute(text(FILL))
        plans = watch(connection, "UPDATE staged_product staged")

        imported, refused = upsert_products(connection, "saga-1", "erp", rows)

    assert [row.action for row in imported] == ["create"] * PRODUCTS
    assert refused == []
    assert max(rows_read(plan, table) for plan in plans for table in TABLES) < 10 * PRODUCTS


def product(number: int) -> ErpProduct:
    variants = [erp_variant(f"new-{number}-{size}") for size in ("S", "M")]
    found = details(f"Product {number}", *variants)
    return ErpProduct(f"new-{number}", found, True, datetime(2026, 1, 1, tzinfo=UTC), "1")
