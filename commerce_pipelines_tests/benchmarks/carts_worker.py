"""Buyers in a process of their own, who add lines to carts; prints how long each took.

python -m commerce_pipelines_tests.benchmarks.carts_worker URL CLIENTS SECONDS VARIANTS
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

LINES_A_CART = 10


class Buyer:
    """Somebody with a connection that stays open, and one cart after the other."""

    def __init__(self, url: str, variants: int) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._variants = variants
        self.seconds: list[float] = []
        self.statuses: dict[int, int] = {}

    def buy(self, until: float) -> None:
        """Adds lines until the time is over."""
        while time.monotonic() < until:
            cart_id = self._post("/store/carts", {"currency_code": "EUR"})["id"]
            for _ in range(LINES_A_CART):
                self._add(cart_id)

    def _add(self, cart_id: str) -> None:
        variant = f"v-{random.randint(1, self._variants)}"
        started = time.perf_counter()
        self._post(
            f"/store/carts/{cart_id}/custom-line-items", {"variant_id": variant, "quantity": 1}
        )
        self.seconds.append(time.perf_counter() - started)

    def _post(self, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        return content


def main(url: str, clients: int, seconds: float, variants: int) -> None:
    """Lets so many buyers buy at once."""
    buyers = [Buyer(url, variants) for _ in range(clients)]
    started = time.monotonic()
    threads = [
        threading.Thread(target=buyer.buy, args=(started + seconds,), daemon=True)
        for buyer in buyers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses: dict[int, int] = {}
    for buyer in buyers:
        for status, count in buyer.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    latencies = [each for buyer in buyers for each in buyer.seconds]
    took = time.monotonic() - started
    print(json.dumps({"seconds": latencies, "took": took, "statuses": statuses}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
