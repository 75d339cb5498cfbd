"""A day of many orders on both sides, compared over HTTP, with the memory that it takes."""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines.services.order_reconciliation import OrderReconciliation
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.connectors.erp_sandbox import open_sandbox_erp

ORDERS = 100_000
DAY = date(2026, 3, 1)
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(days=1) / ORDERS
# One order in so many differs.
PLANTED = 10_000


def rows(fresh: Callable[[], tuple[str, Engine]]) -> Iterator[tuple[str, ...]]:
    """Returns a row: orders each side, seconds, of the CPU too, peak memory, discrepancies."""
    url, engine = fresh()
    with tempfile.TemporaryDirectory() as directory:
        seed = Path(directory) / "seed.json"
        seed.write_text(json.dumps({"products": [], "erp": {"orders": _there()}}))
        with engine.begin() as connection:
            connection.execute(_HERE, {"orders": ORDERS, "first": FIRST})
            connection.execute(_LINKS, {"orders": ORDERS})
        options = SandboxOptions(port=0, rate_limit=False, seed=seed)
        with RunningSandbox(options) as sandbox:
            context = multiprocessing.get_context("spawn")
            answers: Any = context.SimpleQueue()
            arguments = (url, sandbox.addresses, answers)
            child = context.Process(target=_reconcile, args=arguments)
            child.start()
            child.join()
            seconds, cpu_seconds, kib, found = answers.get()
    times = (f"{seconds:.1f} s", f"{cpu_seconds:.1f} s")
    yield f"{ORDERS:,}", *times, f"{kib / 1024:,.0f} MiB", f"{found}"


def _reconcile(url: str, addresses: Any, answers: Any) -> None:
    erp = open_sandbox_erp(addresses)
    flow = OrderReconciliation(connect(url), erp, "UTC", "benchmark")
    started, cpu_started = time.perf_counter(), time.process_time()
    done = flow.reconcile(DAY)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers.put((seconds, cpu_seconds, peak_kib, len(done.found)))


def _there() -> list[dict[str, Any]]:
    return [
        {
            "id": f"o-{number:06}",
            "reference": f"order_{number}",
            "status": "confirmed",
            "currency_code": "EUR",
            "total": "20.01" if number % PLANTED == 0 else "20.00",
            "placed_at": (FIRST + number * STEP).isoformat(),
            "changed_at": (FIRST + number * STEP).isoformat(),
            "lines": [{"variant": "v-1", "quantity": 2, "unit_price": "10.00"}],
        }
        for number in range(ORDERS)
    ]


_HERE = text("""
    INSERT INTO store_order (id, email, currency_code, total_minor, shipping_address,
                             billing_address, status, placed_at)
    SELECT 'order_' || number, 'anna@example.com', 'EUR', 2000, '{}', '{}', 'confirmed',
           CAST(:first AS timestamptz) + number * interval '1 day' / CAST(:orders AS int)
    FROM generate_series(0, CAST(:orders AS int) - 1) AS number""")

_LINKS = text("""
    INSERT INTO external_id (system, entity, external_id, internal_id)
    SELECT 'erp', 'order', 'o-' || lpad(number::text, 6, '0'), 'order_' || number
    FROM generate_series(0, CAST(:orders AS int) - 1) AS number""")
