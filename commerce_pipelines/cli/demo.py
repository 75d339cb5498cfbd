"""`demo`: a fresh stack, every flow once, one broken on purpose and undone."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from commerce_pipelines.cli.demo_acts import ACTS, Check
from commerce_pipelines.cli.demo_erp_acts import ERP_ACTS
from commerce_pipelines.cli.demo_shop import DemoFailedError, Shop
from commerce_pipelines.cli.stack import running_stack
from commerce_pipelines.cli.up import addresses_table, show_event
from commerce_pipelines.runtime.children import Stack
from commerce_pipelines.runtime.room import remove_room
from commerce_pipelines.runtime.signals import ending_on_signals
from commerce_pipelines.settings import Settings

# A short patience lets the broken acts fail in seconds instead of half a minute.
_OVERRIDES = {"SANITY_PATIENCE_SECONDS": "2", "ERP_PATIENCE_SECONDS": "2"}
_console = Console()


def demo(
    home: Annotated[
        Path | None, typer.Option(help="An empty directory to keep; else a temporary one.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Leave the stack up until Ctrl-C.")] = False,
) -> None:
    """Show the whole thing on a fresh stack with a sample catalogue.

    Exits with 0 only if all of it was seen to be true. Example: commerce-pipelines demo --keep
    """
    started = time.monotonic()
    with (
        ending_on_signals(),
        _fresh_home(home) as directory,
        running_stack(
            directory, on_event=show_event, settings=_only_defaults, overrides=_OVERRIDES
        ) as (stack, addresses),
    ):
        _console.print(addresses_table(addresses))
        shop = Shop(addresses, _meanwhile(stack))
        acts = {**ACTS, **ERP_ACTS}
        failed = sum(_play(title, act(shop)) for title, act in acts.items())
        _console.print(f"\n{_verdict(failed)} {time.monotonic() - started:.0f} s in all.")
        if keep:
            _console.print(f"Dagster's UI stays at {addresses.dagster} until Ctrl-C.")
            stack.wait()
    raise typer.Exit(1 if failed else 0)


def _play(title: str, checks: Iterator[Check]) -> int:
    """Plays one act, shows what was seen, and returns how much of it was not as it should be."""
    table = Table("", "", "expected", "seen", title=title, title_justify="left", box=SIMPLE)
    failed = 0
    try:
        for check in checks:
            mark = "[green]✓[/]" if check.passed else "[red]✗[/]"
            table.add_row(mark, check.what, str(check.expected), str(check.seen))
            failed += not check.passed
    except DemoFailedError as error:
        table.add_row("[red]✗[/]", str(error), "", "")
        failed += 1
    _console.print()
    _console.print(table)
    return failed


def _only_defaults() -> Settings:
    """Returns the defaults: the demo must never touch the systems that are configured."""
    return Settings.model_construct()


def _verdict(failed: int) -> str:
    if failed:
        return f"[red]{failed} of these were not as they should be.[/]"
    return "[green]Nothing was left half-done.[/]"


def _meanwhile(stack: Stack) -> Callable[[], None]:
    """Returns what is done while waiting: hear of deaths, and end with our own parent."""
    parent = os.getppid()

    def look() -> None:
        stack.poll()
        if os.getppid() != parent:
            raise KeyboardInterrupt

    return look


@contextmanager
def _fresh_home(home: Path | None) -> Iterator[Path]:
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()):
            raise typer.BadParameter(f"{home} is not empty; the demo wants a fresh home.")
        yield home
        return
    directory = Path(tempfile.mkdtemp(prefix="commerce-demo-"))
    try:
        yield directory
    finally:
        remove_room(directory)
        shutil.rmtree(directory, ignore_errors=True)
