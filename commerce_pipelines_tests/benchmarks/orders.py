"""Many orders exported to the sandbox's ERP, several at once, as one run does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from commerce_pipelines.flows.order_export import AT_ONCE
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines_tests.connectors.erp_sandbox import open_sandbox_erp
from commerce_pipelines_tests.orders import place_order

ORDERS = 10_000


def rows(
    fresh: Callable[[], tuple[str, Engine]], orders: int = ORDERS
) -> Iterator[tuple[str, ...]]:
    """Returns a row: orders, seconds, orders a second."""
    _, engine = fresh()
    with engine.begin() as connection:
        for number in range(orders):
            place_order(connection, f"order_{number}")
    with RunningSandbox(SandboxOptions(port=0, rate_limit=False)) as sandbox:
        erp = open_sandbox_erp(sandbox.addresses)
        flow = OrderExport(Ledger(engine), erp, "benchmark")
        started = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = sum(pool.map(lambda _: _drain(flow), range(AT_ONCE)))
        seconds = time.perf_counter() - started
        erp.close()
    yield f"{done:,}", f"{seconds:.1f} s", f"{done / seconds:,.0f}"


def _drain(flow: OrderExport) -> int:
    count = 0
    while saga_id := flow.claim():
        flow.export(saga_id)
        count += 1
    return count
