"""A warm process that forks a worker for each order, as the run server does.

`python -m commerce_pipelines_tests.messages.worker POSTGRES_URL SANITY` reads a line for
each worker it shall fork, and prints how that worker ended: 0, or minus the signal.
A worker imports all that waits; the deadly product kills it with SIGKILL in the middle.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.sanity import MutationAnswer, Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.pim_import import PimImport
from commerce_pipelines.store.engine import connect

DEADLY = "Deadly"


class DeadlySanity(Sanity):
    """A Sanity whose connector is killed by one document, after it has been sent."""

    def mutate(self, mutations: Any, transaction_id: str) -> MutationAnswer:
        """Sends it, and dies of it."""
        answer = super().mutate(mutations, transaction_id)
        if DEADLY in json.dumps(mutations):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def work(postgres_url: str, sanity: dict[str, str]) -> None:
    """Imports all that waits."""
    engine = connect(postgres_url)
    opened = DeadlySanity.open(
        url=sanity["url"],
        project_id=sanity["project_id"],
        dataset=sanity["dataset"],
        token=sanity["token"],
        budget=UnlimitedBudget(),
    )
    flow = PimImport(Ledger(engine), opened, f"worker-{os.getpid()}")
    while page := flow.open_page():
        flow.store_page(page)
        flow.publish_page(page.saga_id)


def main() -> None:
    """Forks a worker for each line."""
    postgres_url, sanity = sys.argv[1], json.loads(sys.argv[2])
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            work(postgres_url, sanity)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
