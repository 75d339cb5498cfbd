"""Product files, row by row."""

from __future__ import annotations

import csv
import itertools
import json
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from commerce_pipelines.connectors.feed_files import FeedFormat, format_of, read_rows


def rows_of(path: Path) -> list[Any]:
    return list(read_rows(path, format_of(path)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_file_names_its_delimiter_by_its_header(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["title", "description"], ["Mug", "a, b; c\td | e\nf"]])

    assert rows_of(path) == [{"title": "Mug", "description": "a, b; c\td | e\nf"}]


def test_empty_cells_are_absent_and_empty_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("title,brand,sku\nMug,,\n\n,,\nPot\n")

    assert rows_of(path) == [{"title": "Mug"}, {"title": "Pot"}]


def test_a_cell_may_be_large(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("title\n" + "x" * 1_000_000 + "\n")

    assert len(rows_of(path)[0]["title"]) == 1_000_000


def test_ndjson_keeps_numbers_exact_and_skips_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"price": 1.10}\n\n{"price": 2}')

    assert rows_of(path) == [{"price": Decimal("1.10")}, {"price": 2}]


def test_parquet_knows_no_nulls(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    table = pyarrow.table(
        {
            "title": ["Mug", None],
            "price": [1.5, float("nan")],
            "amount": pyarrow.array([Decimal("1.10"), None], pyarrow.decimal128(9, 2)),
            "variants": [[{"sku": "M", "title": None}], None],
            "at": [moment, None],
            "more": pyarrow.array([[("a", 1)], None], pyarrow.map_("string", "int64")),
        }
    )
    path = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(table, path)

    assert rows_of(path) == [
        {
            "title": "Mug",
            "price": 1.5,
            "amount": Decimal("1.10"),
            "variants": [{"sku": "M"}],
            "at": moment,
            "more": {"a": 1},
        },
        {},
    ]


@pytest.mark.parametrize("format_", [FeedFormat.CSV, FeedFormat.JSON, FeedFormat.NDJSON])
def test_a_large_file_is_never_in_memory(format_: FeedFormat, tmp_path: Path) -> None:
    count = 20_000
    rows = [{"title": f"Product {number}", "description": "x" * 500} for number in range(count)]
    path = tmp_path / f"p.{format_}"
    if format_ is FeedFormat.CSV:
        lines = itertools.chain(["title,description"], (",".join(row.values()) for row in rows))
        path.write_text("\n".join(lines))
    elif format_ is FeedFormat.JSON:
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    del rows

    tracemalloc.start()
    read = sum(1 for _ in read_rows(path, format_))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read == count
    assert peak_bytes < path.stat().st_size / 4
