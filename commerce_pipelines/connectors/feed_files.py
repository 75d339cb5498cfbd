"""Product files: CSV, JSON, NDJSON and Parquet, row by row, however large they are.

Belongs here: file formats. Does not belong here: what the columns mean
(`domain.feed_mapping`). An empty cell is an absent one. A file whose structure
is broken is refused with the place; a row that is no good product is not judged
here.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from enum import StrEnum
from math import isinf, isnan
from pathlib import Path
from typing import Any

from commerce_pipelines.domain.strict_json import LARGEST_ITEM_CHARS, iterate_array, loads
from commerce_pipelines.errors import InvalidInput

CHUNK_CHARACTERS = 65_536
BATCH_ROWS = 1_000
_DELIMITERS = ",;\t|"


class FeedFormat(StrEnum):
    """The formats."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"


_BY_SUFFIX = {
    ".csv": FeedFormat.CSV,
    ".tsv": FeedFormat.CSV,
    ".json": FeedFormat.JSON,
    ".ndjson": FeedFormat.NDJSON,
    ".jsonl": FeedFormat.NDJSON,
    ".parquet": FeedFormat.PARQUET,
    ".pq": FeedFormat.PARQUET,
}


def format_of(path: Path) -> FeedFormat:
    """Tells a file's format by its name.

    Raises:
        InvalidInput: The name does not tell.
    """
    try:
        return _BY_SUFFIX[path.suffix.lower()]
    except KeyError:
        known = ", ".join(_BY_SUFFIX)
        raise InvalidInput(
            f"{path.name} ends with none of {known}; say --format {'|'.join(FeedFormat)}."
        ) from None


def read_rows(path: Path, format_: FeedFormat) -> Iterator[Any]:
    """Yields the file's rows; a few of them are in memory at a time.

    Raises:
        InvalidInput: The file is broken, or is not in this format.
    """
    try:
        yield from _READERS[format_](path)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path.name} is not UTF-8 ({error.reason}); save it as UTF-8."
        ) from error
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error}") from error


def _read_json(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        chunks = iter(lambda: file.read(CHUNK_CHARACTERS), "")
        for item, _ in iterate_array(chunks, "products"):
            yield item


def _read_ndjson(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LARGEST_ITEM_CHARS):
            number += 1
            if len(line) == LARGEST_ITEM_CHARS:
                raise InvalidInput(f"line {number} is longer than {LARGEST_ITEM_CHARS} bytes.")
            if line.strip():
                yield _parse_line(line, number)


def _parse_line(line: bytes, number: int) -> Any:
    try:
        return loads(line)
    except InvalidInput as error:
        raise InvalidInput(f"line {number}: {error}") from error


def _read_csv(path: Path) -> Iterator[Any]:
    csv.field_size_limit(LARGEST_ITEM_CHARS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(LARGEST_ITEM_CHARS)
        file.seek(0)
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = _header(next(reader, []))
            for cells in reader:
                if len(cells) > len(header):
                    raise InvalidInput(f"line {reader.line_num} has more cells than the header.")
                if any(cells):
                    yield {name: cell for name, cell in zip(header, cells, strict=False) if cell}
        except csv.Error as error:
            raise InvalidInput(f"line {reader.line_num}: {error}.") from error


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not any(names):
        raise InvalidInput("the first line must name the columns.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"the column {twice!r} appears twice.")
    return names


def _read_parquet(path: Path) -> Iterator[Any]:
    # Slow to import, and needed for this format alone.
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    yield _without_nulls(row)
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInput(f"cannot be read as Parquet: {error}") from error


def _without_nulls(value: Any) -> Any:
    """Returns a value without the cells that are empty: nulls, and NaN as pandas writes them."""
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if not _empty(part)}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value if not _empty(part)]
    return str(value) if isinstance(value, float) and isinf(value) else value


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


_READERS: dict[FeedFormat, Callable[[Path], Iterator[Any]]] = {
    FeedFormat.CSV: _read_csv,
    FeedFormat.JSON: _read_json,
    FeedFormat.NDJSON: _read_ndjson,
    FeedFormat.PARQUET: _read_parquet,
}
