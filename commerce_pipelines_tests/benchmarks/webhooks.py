"""Webhooks: from the request to the finished import, and the acknowledgement meanwhile."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import requests
from standardwebhooks import Webhook

from commerce_pipelines.cli.demo_shop import Shop
from commerce_pipelines.cli.stack import running_stack
from commerce_pipelines.runtime.room import remove_room
from commerce_pipelines.settings import Settings
from commerce_pipelines_tests.benchmarks.catalogues import priced

TIMES = 20
BIG = 20_000


def rows() -> list[tuple[str, str, str]]:
    """Returns a row a question: median and the slowest, of twenty."""
    home = Path(tempfile.mkdtemp(prefix="commerce-bench-"))
    try:
        with running_stack(
            home, on_event=lambda event: None, settings=Settings.model_construct
        ) as (stack, addresses):
            shop = Shop(addresses, stack.poll)
            time.sleep(5)
            finished = [_finish(shop, number) for number in range(TIMES)]
            idle = [_acknowledge(shop, f"idle-{number}") for number in range(TIMES)]
            busy = _during_import(shop)
    finally:
        remove_room(home)
    return [
        ("two products by webhook: finished", *_figures(finished, 1, "s")),
        ("acknowledged, idle", *_figures(idle, 1e3, "ms")),
        (f"acknowledged, during an import of {BIG:,}", *_figures(busy, 1e3, "ms")),
    ]


def _finish(shop: Shop, number: int) -> float:
    products = [{"title": f"Webhook {number} {which}"} for which in "ab"]
    started = time.perf_counter()
    message_id = shop.send_products(products)
    shop.wait_for("the import", lambda: shop.finished_message(message_id))
    return time.perf_counter() - started


def _acknowledge(shop: Shop, title: str) -> float:
    body = json.dumps([{"title": title}])
    id_, now = f"bench-{title}", datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(_secret(shop)).sign(id_, now, body),
    }
    started = time.perf_counter()
    answer = requests.post(
        f"{shop.addresses.endpoint}/webhooks/pim", data=body, headers=headers, timeout=30
    )
    answer.raise_for_status()
    return time.perf_counter() - started


def _secret(shop: Shop) -> str:
    assert shop.addresses.sandbox is not None
    return shop.addresses.sandbox["pim"]["webhook_secret"]


def _during_import(shop: Shop) -> list[float]:
    body = [priced(number) for number in range(BIG)]
    url = f"{shop.addresses.endpoint}/products"
    headers = {"Prefer": "respond-async"}
    big = threading.Thread(
        target=lambda: requests.post(url, json=body, headers=headers, timeout=120)
    )
    big.start()
    times = []
    for number in range(5 * TIMES):
        times.append(_acknowledge(shop, f"busy-{number}"))
        time.sleep(0.1)
    big.join()
    return times


def _figures(times: list[float], factor: float, unit: str) -> tuple[str, str]:
    median, slowest = statistics.median(times) * factor, max(times) * factor
    return f"{median:.2f} {unit}", f"{slowest:.2f} {unit}"
