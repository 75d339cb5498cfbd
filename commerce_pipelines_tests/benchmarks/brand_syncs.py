"""Brands: a first sync, one in which nothing has changed, and what that costs."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

BRANDS = 10_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
IDLE_TIMES = 20


def rows(fresh: Callable[[], tuple[str, Engine]]) -> Iterator[tuple[str, ...]]:
    """Returns a row a question: seconds, and requests to the brand system."""
    with tempfile.TemporaryDirectory() as directory:
        seed = Path(directory) / "seed.json"
        brands = [
            {"name": f"Brand {number:05}", "updated_at": (FIRST + number * SECOND).isoformat()}
            for number in range(BRANDS)
        ]
        seed.write_text(json.dumps({"products": [], "brands": brands}))
        options = SandboxOptions(port=0, rate_limit=False, seed=seed)
        _, engine = fresh()
        with (
            RunningSandbox(options) as sandbox,
            both_sides(Ledger(engine), sandbox.addresses, empty=False) as sides,
        ):
            yield f"first sync of {BRANDS:,}", *_measured(sides, 1)
            yield f"nothing changed, of {BRANDS:,}", *_measured(sides, IDLE_TIMES)
            (first,) = sides.there.page(limit=1)["brands"]
            sides.there.patch(first["id"], name="Renamed")
            yield "one renamed", *_measured(sides, 1)


def _measured(sides: Sides, times: int) -> tuple[str, str]:
    asked = sides.requests()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        sides.sync()
        seconds.append(time.perf_counter() - started)
    requests = (sides.requests() - asked) / times
    return f"{statistics.median(seconds) * 1e3:,.1f} ms", f"{requests:g}"
