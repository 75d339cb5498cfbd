"""The ERP's products: a first sync, one that finds all unchanged, and one with nothing to read."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
from sqlalchemy import Engine

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines.services.erp_product_sync import ErpProductSync
from commerce_pipelines_tests.connectors.erp_sandbox import open_sandbox_erp

SIZES = (10_000, 100_000)
VARIANTS = 2


def rows(
    fresh: Callable[[], tuple[str, Engine]], sizes: tuple[int, ...] = SIZES
) -> Iterator[tuple[str, ...]]:
    """Returns a row a sync: seconds, products a second, and requests to the ERP."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as directory:
            seed = Path(directory) / "seed.json"
            many = {"generate": {"products": size, "variants": VARIANTS}}
            seed.write_text(json.dumps({"products": [], "erp": many}))
            options = SandboxOptions(port=0, rate_limit=False, seed=seed)
            _, engine = fresh()
            with RunningSandbox(options) as sandbox:
                erp = open_sandbox_erp(sandbox.addresses)
                flow = ErpProductSync(Ledger(engine), erp, "bench")
                faults = sandbox.addresses["faults"]["url"]
                for name, whole in (("first", True), ("all unchanged", True), ("daily", False)):
                    yield f"{size:,}, {name}", *_measured(flow, faults, whole=whole)
                erp.close()
            engine.dispose()


def _measured(flow: ErpProductSync, faults: str, *, whole: bool) -> tuple[str, str, str]:
    asked = _requests(faults)
    started = time.perf_counter()
    counts = flow.sync(flow.find_start(whole=whole)).counts
    seconds = time.perf_counter() - started
    read = counts["created"] + counts["updated"] + counts["unchanged"]
    return f"{seconds:,.1f} s", f"{read / seconds:,.0f}", str(_requests(faults) - asked)


def _requests(faults: str) -> int:
    counted = requests.get(f"{faults}/requests", timeout=30).json()
    # The sandbox's own controls are not counted.
    return sum(each["count"] for each in counted)
