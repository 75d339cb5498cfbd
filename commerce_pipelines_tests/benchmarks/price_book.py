"""The price book: a first refresh, one in which nothing has changed, what an idle tick costs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import requests
from sqlalchemy import Engine, text

from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines.services.drain import drain_key
from commerce_pipelines.services.price_book_refresh import KIND, MARK
from commerce_pipelines.services.price_changes import TOPIC
from commerce_pipelines.store.price_questions import look
from commerce_pipelines_tests.services.erp_prices import change, sold_many

VARIANTS = (10_000, 100_000)
IDLE_TIMES = 20
MODULE = "commerce_pipelines_tests.benchmarks.price_book_worker"

Row = tuple[str, str, str, str]


def rows(
    fresh: Callable[[], tuple[str, Engine]], sizes: tuple[int, ...] = VARIANTS
) -> Iterator[Row]:
    """Yields a row a question: seconds, requests to the ERP, peak memory."""
    for size in sizes:
        url, engine = fresh()
        with RunningSandbox(SandboxOptions(port=0, rate_limit=False)) as sandbox:
            _generate(engine, sandbox.addresses, size)
            yield f"first refresh of {size:,}", *_refresh(url, sandbox.addresses)
            change(engine, "UPDATE asked_variant SET asked_at = asked_at - interval '1 hour'")
            yield f"nothing changed, of {size:,}", *_refresh(url, sandbox.addresses)
        yield f"a tick when nothing is due, of {size:,}", _tick(engine), "0", ""
        engine.dispose()


def _generate(engine: Engine, addresses: Addresses, size: int) -> None:
    controls = addresses["faults"]["url"]
    requests.post(f"{controls}/erp/generate", json={"products": size}, timeout=300)
    sold_many(engine, size)
    change(engine, _AS_GENERATED)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _refresh(url: str, addresses: Addresses) -> tuple[str, str, str]:
    controls = addresses["faults"]["url"]
    requests.delete(f"{controls}/requests", timeout=60)
    command = [sys.executable, "-m", MODULE, url, json.dumps(addresses["erp"])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took = json.loads(done.stdout.splitlines()[-1])
    counted = requests.get(f"{controls}/requests", timeout=60).json()
    asked = sum(each["count"] for each in counted)
    return f"{took['seconds']:.1f} s", f"{asked:,}", f"{took['peak_mib']:.0f} MiB"


def _tick(engine: Engine) -> str:
    seconds = []
    for _ in range(IDLE_TIMES):
        started = time.perf_counter()
        with engine.connect() as connection:
            due = look(connection, KIND, MARK, 300.0)
            assert not due.has_due
            assert drain_key(connection, TOPIC, datetime.now(UTC)) is None
        seconds.append(time.perf_counter() - started)
    return f"{statistics.median(seconds) * 1e3:.1f} ms"


# As the sandbox names what it generates.
_AS_GENERATED = """
    UPDATE external_id
    SET external_id = 'gv-' || lpad((substr(external_id, 2)::int - 1)::text, 6, '0') || '-0'
    WHERE system = 'erp'"""
