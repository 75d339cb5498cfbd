"""What the sandbox says was done to it."""

from __future__ import annotations

import requests

from commerce_pipelines.sandbox.server import RunningSandbox


def count_mutations(sandbox: RunningSandbox) -> int:
    """Returns how many transactions Sanity has taken."""
    url = f"{sandbox.addresses['faults']['url']}/effects"
    answer = requests.get(url, params={"system": "sanity"}, timeout=5)
    return len(answer.json())
