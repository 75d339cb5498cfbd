"""`import`: a product file, of any size, into the store and on to Sanity."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commerce_pipelines.cli.import_progress import ImportProgress, import_progress
from commerce_pipelines.cli.import_report import RefusalList, print_report
from commerce_pipelines.cli.options import AsJson, Home
from commerce_pipelines.cli.output import FAILED, INTERRUPTED, note, stop, warn
from commerce_pipelines.cli.session import open_store
from commerce_pipelines.connectors.feed_files import FeedFormat, format_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from commerce_pipelines.services.file_import import Contents, FeedFile, FileDelivery

MOST_COLUMNS_NAMED = 12

Report = dict[str, Any]

File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The products.")
]
Mappings = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="TARGET=SOURCE",
        help="Which column is which field, as external_id=id or metadata.color=color; "
        "no source leaves the field out. May be repeated.",
    ),
]
Currency = Annotated[
    str | None, typer.Option(metavar="CODE", help="Of prices whose row names none, as EUR.")
]
Format = Annotated[FeedFormat | None, typer.Option("--format", help="Default: by the file's name.")]
SourceName = Annotated[str, typer.Option(metavar="NAME", help="Who it is from.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the file only.")]
Wait = Annotated[bool, typer.Option(help="Wait until all products are finished.")]
Rejections = Annotated[
    Path | None,
    typer.Option(dir_okay=False, metavar="FILE", help="For all rejections, as NDJSON."),
]


def import_file(
    file: File,
    mappings: Mappings = None,
    currency: Currency = None,
    format_: Format = None,
    source: SourceName = "file",
    dry_run: DryRun = False,
    wait: Wait = True,
    rejections: Rejections = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Import products from a CSV, JSON, NDJSON or Parquet file.

    A broken file is refused before anything of it is stored. Called again, an import that was
    interrupted goes on where it stopped, and one that was finished is done again: what has not
    changed is not written. Exits with 1 if a product was not taken.

    Example: commerce-pipelines import products.csv --currency EUR
    """
    feed = _feed(file, format_, mappings or [], currency)
    with import_progress(quiet=as_json) as progress:
        contents = feed.examine(progress.read)
        _tell(contents)
        if dry_run:
            report, refusals = _check(feed, contents, rejections)
        else:
            with open_store(home) as (settings, engine):
                with _nudges(engine, settings.dagster_url) as nudge:
                    delivery, seconds = _follow(
                        feed, contents, engine, source, wait=wait, progress=progress, nudge=nudge
                    )
                report, refusals = _outcome(delivery, contents, seconds, wait, rejections)
    print_report({"file": str(file), **report}, refusals, as_json=as_json)
    if refusals.count:
        raise typer.Exit(FAILED)


def _feed(
    file: Path, format_: FeedFormat | None, mappings: list[str], currency: str | None
) -> FeedFile:
    from commerce_pipelines.domain.feed_mapping import FeedMapping
    from commerce_pipelines.services.file_import import FeedFile

    return FeedFile(file, format_ or format_of(file), FeedMapping.parse(mappings, currency))


def _tell(contents: Contents) -> None:
    """Says what of the file is not imported."""
    if contents.prices_left_out:
        warn(
            f"{contents.prices_left_out} prices are left out, for nobody says in which currency: "
            "pass --currency, as --currency EUR, or map a column to currency_code."
        )
    if contents.unused_columns:
        named = ", ".join(contents.unused_columns[:MOST_COLUMNS_NAMED])
        more = len(contents.unused_columns) - MOST_COLUMNS_NAMED
        rest = f" and {more} more" if more > 0 else ""
        note(f"Columns not taken: {named}{rest}. To keep one: --map metadata.NAME=COLUMN.")


def _check(feed: FeedFile, contents: Contents, path: Path | None) -> tuple[Report, RefusalList]:
    refusals = RefusalList.collect((one.model_dump() for one in feed.reject()), path)
    report = {
        "dry_run": True,
        "products": contents.products,
        "valid": contents.products - refusals.count,
        "rejected": refusals.count,
    }
    return {**report, **_left(contents)}, refusals


def _follow(
    feed: FeedFile,
    contents: Contents,
    engine: Engine,
    source: str,
    *,
    wait: bool,
    progress: ImportProgress,
    nudge: Callable[[], None],
) -> tuple[FileDelivery, float]:
    """Stores the file and follows it; returns the delivery and the seconds it took."""
    from commerce_pipelines.services.file_import import FileDelivery

    started = time.monotonic()
    delivery = FileDelivery.open(engine, source, contents)
    if delivery.stored_before:
        note(
            f"Going on with an earlier import: {delivery.stored_before} of "
            f"{delivery.name.parts} parts are stored already."
        )
    progress.begin(contents.products, wait=wait)
    try:
        for now in delivery.follow(feed.parts(), wait=wait):
            progress.show(now)
            nudge()
    except KeyboardInterrupt:
        text = "Interrupted: what is stored will be imported; the same command goes on from here."
        raise stop(text, INTERRUPTED) from None
    return delivery, time.monotonic() - started


@contextmanager
def _nudges(engine: Engine, dagster_url: str | None) -> Iterator[Callable[[], None]]:
    """Gives what asks Dagster to start at once; without an address its sensor does it alone."""
    if dagster_url is None:
        yield lambda: None
        return
    from commerce_pipelines.connectors.dagster_webserver import DagsterWebserver
    from commerce_pipelines.services.launching import Launcher

    webserver = DagsterWebserver(dagster_url)
    launcher = Launcher(engine, webserver)
    launcher.start()
    try:
        yield launcher.wake
    finally:
        launcher.stop()
        webserver.close()


def _outcome(
    delivery: FileDelivery, contents: Contents, seconds: float, wait: bool, path: Path | None
) -> tuple[Report, RefusalList]:
    report: Report = {
        "message_id": delivery.progress().message_id,
        "source": delivery.name.source,
        "finished": wait,
        "products": contents.products,
        "parts": delivery.name.parts,
        "parts_stored_before": delivery.stored_before,
        **_left(contents),
    }
    if not wait:
        return report, RefusalList()
    counts = asdict(delivery.counts())
    report |= {
        **counts,
        "repeated": contents.products - sum(counts.values()),
        "seconds": round(seconds, 3),
        "products_per_second": round(contents.products / seconds, 1),
    }
    return report, RefusalList.collect(delivery.refusals(), path)


def _left(contents: Contents) -> Report:
    return {
        "prices_left_out": contents.prices_left_out,
        "unused_columns": contents.unused_columns,
    }
