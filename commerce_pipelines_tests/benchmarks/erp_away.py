"""How long a buyer waits while the ERP takes connections and says nothing."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests
from sqlalchemy import Engine, text

from commerce_pipelines_tests.benchmarks.carts import endpoint, fill

TIMES = 40
ADDRESS = {
    "first_name": "Anna",
    "last_name": "Muster",
    "address_1": "High Street 1",
    "postal_code": "10115",
    "city": "Berlin",
    "country_code": "DE",
}


def rows(fresh: Callable[[], tuple[str, Engine]]) -> Iterator[tuple[str, ...]]:
    """Returns a row a request: median, slowest, and what was answered."""
    url, engine = fresh()
    fill(engine)
    with socket.create_server(("127.0.0.1", 0)) as silent, requests.Session() as session:
        erp = {"url": f"http://127.0.0.1:{silent.getsockname()[1]}", "api_key": "none"}
        with endpoint(url, erp, "900") as (_, address):
            cart = f"{address}/store/carts/{_cart(session, address)}"
            with engine.begin() as connection:
                connection.execute(text(_AN_HOUR_AGO))
            price = f"{address}/store/variants/v-1/price?currency_code=EUR"
            yield "an old price shown", *_timed(lambda: session.get(price), _is_stale)
            completed = _timed(lambda: session.post(f"{cart}/complete"), lambda _: "")
            yield "a cart not completed", *completed


def _cart(session: requests.Session, address: str) -> str:
    addresses = {"shipping_address": ADDRESS, "billing_address": ADDRESS}
    wanted = {"currency_code": "EUR", "email": "anna@example.com", **addresses}
    cart_id: str = session.post(f"{address}/store/carts", json=wanted).json()["id"]
    line = {"variant_id": "v-1", "quantity": 1}
    added = session.post(f"{address}/store/carts/{cart_id}/custom-line-items", json=line)
    assert added.ok, added.text
    return cart_id


def _timed(
    ask: Callable[[], requests.Response], more: Callable[[Any], str]
) -> tuple[str, str, str]:
    times, told = [], set()
    for _ in range(TIMES):
        started = time.perf_counter()
        answer = ask()
        times.append(time.perf_counter() - started)
        told.add(f"{answer.status_code}{more(answer.json())}")
    slowest, median = max(times), statistics.median(times)
    return f"{median * 1e3:.0f} ms", f"{slowest * 1e3:.0f} ms", ", ".join(sorted(told))


def _is_stale(price: dict[str, Any]) -> str:
    return ", stale" if price["stale"] else ", fresh"


_AN_HOUR_AGO = """
    UPDATE price_book SET fetched_at = now() - interval '1 h', as_of = now() - interval '1 h';
    UPDATE stock_level SET fetched_at = now() - interval '1 h', as_of = now() - interval '1 h'"""
