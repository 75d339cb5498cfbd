"""Measures what the README says: `python -m commerce_pipelines_tests.benchmarks [PART...]`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from commerce_pipelines.runtime.postgres import EmbeddedPostgres
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.store.engine import connect
from commerce_pipelines.store.schema import migrate
from commerce_pipelines_tests.benchmarks import (
    brand_syncs,
    carts,
    erp_away,
    erp_products,
    imports,
    ledger,
    orders,
    price_book,
    reconciliation,
    recovery,
    webhooks,
)

PARTS = (
    *("ledger", "store", "documents", "brands", "erp", "prices", "carts", "orders"),
    *("webhooks", "recovery"),
)
_console = Console(width=120)


def main(parts: Iterable[str]) -> None:
    """Measures the parts and prints a table each."""
    wanted = list(parts) or list(PARTS)
    if "webhooks" in wanted:
        _show("Webhooks", ("", "median", "slowest"), webhooks.rows())
    if "recovery" in wanted:
        moments = ("undo starts", "undone", "imported again")
        _show("Recovery", ("killed; median / p95 / slowest", *moments), recovery.rows())
    with (
        tempfile.TemporaryDirectory() as home,
        EmbeddedPostgres(Path(home)) as postgres,
        RunningSandbox() as sandbox,
    ):
        numbers = count()

        def fresh() -> tuple[str, Engine]:
            name = f"bench_{next(numbers)}"
            postgres.create_database(name)
            engine = connect(postgres.url(name))
            migrate(engine)
            return postgres.url(name), engine

        sanity = sandbox.addresses["sanity"]
        if "ledger" in wanted:
            _show("Ledger", ("", "median", "p95"), ledger.rows(fresh()[1]))
        if "store" in wanted:
            columns = ("into the store", "first", "bare COPY", "ratio", "unchanged", "peak memory")
            _show("Import", columns, imports.store_rows(fresh, sanity))
        if "brands" in wanted:
            heads: tuple[str, ...] = ("brands", "median", "requests")
            _show("Brands", heads, brand_syncs.rows(fresh))
        if "prices" in wanted:
            asked = ("price book", "took", "requests", "peak memory")
            _show("Price book", asked, price_book.rows(fresh))
        if "carts" in wanted:
            heads = ("p50", "p95", "p99", "a second", "CPU a request", "other statuses")
            _show("A line added to a cart", ("", *heads), carts.rows(fresh))
            heads = ("while the ERP says nothing", "median", "slowest", "answered")
            _show("Without the ERP", heads, erp_away.rows(fresh))
        if "erp" in wanted:
            heads = ("products of the ERP, two variants each", "took", "a second", "requests")
            _show("ERP products", heads, erp_products.rows(fresh))
        if "orders" in wanted:
            _show("Orders exported", ("orders", "took", "a second"), orders.rows(fresh))
            heads = ("orders each side", "took", "of the CPU", "peak memory", "discrepancies")
            _show("Reconciliation", heads, reconciliation.rows(fresh))
        if "documents" in wanted:
            heads = ("products", "in the store", "with documents in the sandbox")
            _show("Import with documents", heads, imports.document_rows(fresh, sanity))


def _show(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    _console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
