"""`up`: the whole stack, until Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from commerce_pipelines.cli.stack import Addresses, running_stack
from commerce_pipelines.runtime.protocol import Event
from commerce_pipelines.runtime.signals import ending_on_signals
from commerce_pipelines.settings import DEFAULT_HOME, Settings

_progress = Console(stderr=True)


def up(
    home: Annotated[
        Path, typer.Option(envvar="COMMERCE_HOME", help="Directory for everything it keeps.")
    ] = Path(DEFAULT_HOME),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when all is ready.")
    ] = False,
) -> None:
    """Start the whole stack; Ctrl-C ends all of it.

    PostgreSQL, migrations, the sandbox where no real systems are set, the endpoint, Dagster's
    UI and daemon. Example: commerce-pipelines up --home /tmp/shop
    """
    with (
        ending_on_signals(),
        running_stack(home, on_event=show_event, settings=Settings.load) as (stack, addresses),
    ):
        if as_json:
            print(json.dumps(addresses.as_json()), flush=True)
        else:
            Console().print(addresses_table(addresses))
        stack.wait()


def show_event(event: Event) -> None:
    """Tells on stderr what happens to a part of the stack."""
    if event.kind in {"ready", "died", "restarted", "failed"}:
        style = "dim" if event.kind == "ready" else "yellow"
        _progress.print(f"{event.service} {event.kind} {_shown_detail(event)}", style=style)


def addresses_table(addresses: Addresses) -> Table:
    """Returns where to go with a browser, curl or psql."""
    table = Table(box=None, title="The stack is up", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("Dagster's UI", addresses.dagster)
    table.add_row("endpoint", f"{addresses.endpoint}/docs")
    table.add_row("PostgreSQL", addresses.postgres)
    for name, parts in (addresses.sandbox or {}).items():
        table.add_row(f"sandbox: {name}", parts["url"])
    table.add_row("home, logs", f"{addresses.home}, {addresses.home / 'logs'}")
    return table


def _shown_detail(event: Event) -> str:
    return event.detail if event.kind in {"died", "failed"} else ""
