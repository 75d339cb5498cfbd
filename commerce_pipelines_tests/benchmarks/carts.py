"""Adding a line to a cart, with every check and an idempotency key: how long, how many a second.

The endpoint, the buyers and PostgreSQL are processes of their own; the ERP is the sandbox's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, text

from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.services.erp_prices import sold_many

VARIANTS = 200
CARTS = 2_000
SECONDS = 8.0
CLIENTS = (1, 8, 32)
# A word of the ERP that is this old is asked for again: every one.
NEVER_FRESH = "0.000001"


def rows(fresh: Callable[[], tuple[str, Engine]]) -> Iterator[tuple[str, ...]]:
    """Returns a row a number of clients: p50, p95, p99, requests a second, CPU a request."""
    with tempfile.TemporaryDirectory() as directory:
        seed = Path(directory) / "seed.json"
        seed.write_text(json.dumps({"products": [], "erp": _sold()}))
        options = SandboxOptions(port=0, rate_limit=False, seed=seed)
        with RunningSandbox(options) as sandbox:
            for told, seconds in (("fresh price book", "86400"), ("asked live", NEVER_FRESH)):
                url, engine = fresh()
                fill(engine)
                with endpoint(url, sandbox.addresses["erp"], seconds) as (process, address):
                    _load(address, 4, 2.0)
                    for clients in CLIENTS:
                        yield f"{told}, {clients} clients", *_measured(process, address, clients)


def _sold() -> dict[str, Any]:
    ids = [f"E{number}" for number in range(1, VARIANTS + 1)]
    tiers = [{"min_quantity": 1, "amount": "9.99"}, {"min_quantity": 10, "amount": "8.50"}]
    return {
        "products": [
            {"id": f"P-{each}", "title": each, "variants": [{"id": each, "sku": each, "title": ""}]}
            for each in ids
        ],
        "prices": [{"variant": each, "currency_code": "EUR", "tiers": tiers} for each in ids],
        "stock": [{"variant": each, "available": "100000"} for each in ids],
    }


def fill(engine: Engine) -> None:
    """Fills the store with variants that the ERP knows, the price book, and carts of others."""
    sold_many(engine, VARIANTS)
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO price_book (variant_id, currency_code, min_quantities, amounts, as_of)
                SELECT id, 'EUR', '{1,10}', '{9.99,8.50}', now() - interval '1 s' FROM variant""")
        )
        connection.execute(
            text("""
                INSERT INTO stock_level (variant_id, available, allows_out_of_stock, as_of)
                SELECT id, 100000, false, now() - interval '1 s' FROM variant""")
        )
        connection.execute(
            text("""
                INSERT INTO cart (id, currency_code)
                SELECT 'cart_' || number, 'EUR' FROM generate_series(1, :carts) AS number"""),
            {"carts": CARTS},
        )
        connection.execute(
            text("""
                INSERT INTO cart_line (id, cart_id, variant_id, title, quantity, unit_price,
                                       min_quantity, priced_at)
                SELECT 'line_' || cart.id || variant.id, cart.id, variant.id, '', 1, 9.99, 1, now()
                FROM cart CROSS JOIN (SELECT id FROM variant ORDER BY id LIMIT 5) variant""")
        )
        connection.execute(
            text("""
                INSERT INTO idempotency_key (scope, key, request_sha256, status, headers, body)
                SELECT 'POST ' || cart_id, id, '', 200, '{}', '' FROM cart_line""")
        )
        # As in a store that is in use.
        connection.execute(text("ANALYZE"))


@contextmanager
def endpoint(
    url: str, erp: dict[str, str], fresh_seconds: str
) -> Iterator[tuple[psutil.Process, str]]:
    """Runs an endpoint as a process of its own; gives it and its address."""
    settings = {
        "POSTGRES_URL": url,
        "ENDPOINT_PORT": "0",
        "ENDPOINT_UNSIGNED_LOOPBACK": "true",
        "ERP_URL": erp["url"],
        "ERP_API_KEY": erp["api_key"],
        "ERP_REQUESTS_PER_SECOND": "100000",
        "PRICE_BOOK_FRESH_SECONDS": fresh_seconds,
    }
    command = [sys.executable, "-m", "commerce_pipelines_tests.endpoint.program"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as process:
        assert process.stdout is not None
        try:
            yield psutil.Process(process.pid), process.stdout.readline().strip()
        finally:
            process.terminate()


def _measured(process: psutil.Process, address: str, clients: int) -> tuple[str, ...]:
    before = sum(process.cpu_times()[:2])
    found = _load(address, clients, SECONDS)
    cpu_seconds = sum(process.cpu_times()[:2]) - before
    times = sorted(found["seconds"])
    at = statistics.quantiles(times, n=100, method="inclusive")
    done = sum(found["statuses"].values())
    refused = {status for status in found["statuses"] if status not in {"200", "201"}}
    return (
        f"{statistics.median(times) * 1e3:.1f} ms",
        f"{at[94] * 1e3:.1f} ms",
        f"{at[98] * 1e3:.1f} ms",
        f"{len(times) / found['took']:.0f}",
        f"{cpu_seconds / done * 1e3:.2f} ms",
        ", ".join(sorted(refused)) or "none",
    )


def _load(address: str, clients: int, seconds: float) -> dict[str, Any]:
    module = "commerce_pipelines_tests.benchmarks.carts_worker"
    command = [sys.executable, "-m", module, address, str(clients), str(seconds), str(VARIANTS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
