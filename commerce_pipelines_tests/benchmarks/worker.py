"""One import in a process of its own, as a run worker does it; prints what it took.

python -m commerce_pipelines_tests.benchmarks.worker POSTGRES_URL SANITY_JSON store|all
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

# What a run worker has in memory beside the import itself.
import commerce_pipelines.definitions  # noqa: F401
from commerce_pipelines.connectors.rate_budget import SharedRateBudget
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.services.pim_import import PimImport
from commerce_pipelines.store import messages
from commerce_pipelines.store.engine import connect, libpq_url


def main(postgres_url: str, sanity_json: str, how_far: str) -> None:
    """Drains the inbox, page by page."""
    address = json.loads(sanity_json)
    budget = SharedRateBudget(libpq_url(postgres_url))
    sanity = Sanity.open(**address, budget=budget)
    engine = connect(postgres_url)
    flow = PimImport(Ledger(engine), sanity, "bench")
    seconds = {"store": 0.0, "publish": 0.0}
    products = 0
    while opened := flow.open_page():
        started = time.perf_counter()
        counts = flow.store_page(opened)
        stored = time.perf_counter()
        if how_far == "all":
            flow.publish_page(opened.saga_id)
        else:
            _end_without_documents(flow, opened.saga_id)
        seconds["store"] += stored - started
        seconds["publish"] += time.perf_counter() - stored
        products += sum(counts.values())
    print(json.dumps({"products": products, "peak_mib": peak_mib(), **seconds}))
    sanity.close()
    budget.close()
    engine.dispose()


def peak_mib() -> float:
    """Returns this program's largest memory; `getrusage` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def _end_without_documents(flow: PimImport, saga_id: str) -> None:
    claim = flow.ledger.join(saga_id, flow.run_id)
    Saga(flow.ledger, claim).succeed(lambda connection: messages.finish(connection, saga_id))


if __name__ == "__main__":
    main(*sys.argv[1:])
