"""A day of very many orders is read with work that grows with their number, not its square."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, text

from commerce_pipelines.store.orders import orders_between
from commerce_pipelines_tests.store.plans import discarded, watch

DAY = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
ORDERS = 1_000
FILL = """
    INSERT INTO external_id (system, entity, external_id, internal_id)
    VALUES ('erp', 'order', 'o-0', 'order_0'), ('pim', 'product', 'p-0', 'prod_0');
    ANALYZE store_order, external_id;
    INSERT INTO store_order (id, email, currency_code, total_minor, shipping_address,
                             billing_address, status, placed_at)
    SELECT 'order_' || n, 'anna@example.com', 'EUR', 2000, '{}', '{}', 'confirmed',
           '2026-03-01T12:00:00Z' FROM generate_series(1, 1000) AS n;
    INSERT INTO external_id (system, entity, external_id, internal_id)
    SELECT 'erp', 'order', 'o-' || n, 'order_' || n FROM generate_series(1, 1000) AS n"""


def test_no_order_is_held_against_all_others_when_statistics_are_behind(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        connection.execute(text(FILL))
        plans = watch(connection)

        orders = orders_between(connection, *DAY)

    assert len(orders) == ORDERS
    assert {each.external_id for each in orders} == {f"o-{n}" for n in range(1, ORDERS + 1)}
    assert sum(discarded(plan) for plan in plans) < 10 * ORDERS
