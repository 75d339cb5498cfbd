"""What is seen on stderr while a file is imported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from commerce_pipelines.cli.output import warn

if TYPE_CHECKING:
    from commerce_pipelines.store.deliveries import Progress as DeliveryProgress

STALLED_SECONDS = 30.0


class ImportProgress:
    """Bars over the products read, stored and finished.

    Args:
        bars: Where they are drawn.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._read = bars.add_task("read", total=None)
        self._stored = bars.add_task("stored", total=None, visible=False)
        self._finished = bars.add_task("finished", total=None, visible=False)
        self._last_finished = -1
        self._moved_at_seconds = time.monotonic()

    def read(self, products: int) -> None:
        """Shows how many products were read and found readable."""
        self._bars.update(self._read, completed=products)

    def begin(self, products: int, *, wait: bool) -> None:
        """Shows that the file is known and is being imported."""
        self._bars.update(self._read, total=products, completed=products, visible=False)
        self._bars.update(self._stored, total=products, visible=True)
        self._bars.update(self._finished, total=products, visible=wait)
        self._moved_at_seconds = time.monotonic()

    def show(self, progress: DeliveryProgress) -> None:
        """Shows how far the import has come, and says so when nothing moves."""
        self._bars.update(self._stored, completed=progress.items)
        self._bars.update(self._finished, completed=progress.finished_items)
        now = time.monotonic()
        if progress.finished_items != self._last_finished:
            self._last_finished, self._moved_at_seconds = progress.finished_items, now
        elif now - self._moved_at_seconds > STALLED_SECONDS:
            self._moved_at_seconds = now
            warn(_why_stalled(progress))


def _why_stalled(progress: DeliveryProgress) -> str:
    if progress.last_error:
        return f"Nothing moves; it will be tried again. The last error: {progress.last_error}"
    return (
        "Nothing moves: does Dagster run (`commerce-pipelines up`)? What is stored stays stored; "
        "after Ctrl-C the same command goes on from here."
    )


@contextmanager
def import_progress(*, quiet: bool) -> Iterator[ImportProgress]:
    """Draws the bars while the block lasts; without a terminal nothing is drawn."""
    console = Console(stderr=True)
    bars = Progress(
        SpinnerColumn(),
        TextColumn("products {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    with bars:
        yield ImportProgress(bars)
