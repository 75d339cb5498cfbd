"""One refresh in a process of its own, as a run worker does it; prints what it took.

python -m commerce_pipelines_tests.benchmarks.price_book_worker POSTGRES_URL ERP_JSON
"""

from __future__ import annotations

import json
import sys
import time

# What a run worker has in memory beside the refresh itself.
import commerce_pipelines.definitions  # noqa: F401
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.price_book_refresh import PriceBookRefresh
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.benchmarks.worker import peak_mib


def main(postgres_url: str, erp_json: str) -> None:
    """Refreshes all that is due."""
    address = json.loads(erp_json)
    erp = RestErp.open(url=address["url"], api_key=address["api_key"], budget=UnlimitedBudget())
    engine = connect(postgres_url)
    started = time.perf_counter()
    variants = sum(
        page.variants for page in PriceBookRefresh(Ledger(engine), erp, "bench", 300.0).pages()
    )
    seconds = time.perf_counter() - started
    print(json.dumps({"variants": variants, "seconds": seconds, "peak_mib": peak_mib()}))
    erp.close()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
