"""Imports: products a second, beside a bare COPY of the same rows; memory; unchanged ones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Engine, text

from commerce_pipelines_tests.benchmarks.catalogues import SHAPES, deliver

SIZES = (100, 1_000, 10_000, 100_000)
DOCUMENT_SIZES = (1_000, 10_000)
COPIED = ("brand", "product", "product_option", "variant", "price")

Row = tuple[str, str, str, str, str, str]
Fresh = Callable[[], tuple[str, Engine]]


def store_rows(
    fresh: Fresh, sanity: dict[str, Any], sizes: tuple[int, ...] = SIZES
) -> Iterator[Row]:
    """Yields a row a shape and size: first import, unchanged import, bare COPY, memory."""
    for shape in SHAPES:
        for size in sizes:
            url, engine = fresh()
            deliver(engine, shape, size, "first")
            first = _work(url, sanity, "store")
            copied = _bare_copy(engine, fresh()[1])
            deliver(engine, shape, size, "again")
            again = _work(url, sanity, "store")
            engine.dispose()
            yield (
                f"{shape}, {size:,}",
                f"{size / first['store']:,.0f}/s",
                f"{size / copied:,.0f}/s",
                f"{copied / first['store']:.2f}",
                f"{size / again['store']:,.0f}/s",
                f"{max(first['peak_mib'], again['peak_mib']):.0f} MiB",
            )


def document_rows(
    fresh: Fresh, sanity: dict[str, Any], sizes: tuple[int, ...] = DOCUMENT_SIZES
) -> Iterator[tuple[str, str, str]]:
    """Yields a row a size: store, and Sanity's documents, of a first import."""
    for size in sizes:
        url, engine = fresh()
        deliver(engine, "three priced variants", size, "first")
        took = _work(url, sanity, "all")
        engine.dispose()
        yield f"{size:,}", f"{took['store']:.1f} s", f"{took['store'] + took['publish']:.1f} s"


def _work(url: str, sanity: dict[str, Any], how_far: str) -> dict[str, float]:
    module = "commerce_pipelines_tests.benchmarks.worker"
    command = [sys.executable, "-m", module, url, json.dumps(sanity), how_far]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _bare_copy(full: Engine, empty: Engine) -> float:
    """Copies the rows just imported into the same, empty tables; returns the COPYs' seconds.

    Row by row from Python, with the tables' own keys and references: the least an import does.
    """
    seconds = 0.0
    for table in COPIED:
        with full.connect() as connection:
            names = connection.execute(_COLUMNS, {"table": table}).scalars().all()
            shown = ", ".join(f'"{name}"::text' for name in names)
            rows = [tuple(row) for row in connection.execute(text(f"SELECT {shown} FROM {table}"))]
        started = time.perf_counter()
        with empty.begin() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            columns = ", ".join(f'"{name}"' for name in names)
            with driver.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        seconds += time.perf_counter() - started
    return seconds


_COLUMNS = text("""
    SELECT column_name FROM information_schema.columns
    WHERE table_name = :table AND table_schema = 'public' ORDER BY ordinal_position""")
