"""The command line, `commerce-pipelines`: one module a command or a group of them.

Belongs here: which commands there are. Modules import what is slow to import
inside their functions, so that `--help` answers at once.
"""

from __future__ import annotations

import signal

import typer

from commerce_pipelines.cli import messages, sagas
from commerce_pipelines.cli.demo import demo
from commerce_pipelines.cli.endpoint import endpoint
from commerce_pipelines.cli.imports import import_file
from commerce_pipelines.cli.migrate import migrate
from commerce_pipelines.cli.output import CommandGroup
from commerce_pipelines.cli.sandbox import sandbox
from commerce_pipelines.cli.status import status
from commerce_pipelines.cli.up import up

app = typer.Typer(
    cls=CommandGroup,
    help="Commerce integration that cannot leave two systems half-changed.",
    epilog="Exit codes: 0 ok, 1 failed or in part, 2 bad input, 3 not configured or not reachable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(up)
app.command()(sandbox)
app.command()(endpoint)
app.command()(migrate)
app.command("import")(import_file)
app.command()(status)
app.add_typer(messages.app, name="messages")
app.add_typer(sagas.app, name="sagas")


def main() -> None:
    """Runs the command that the arguments name."""
    # A script's background job starts with SIGINT ignored, and would not end on Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app(prog_name="commerce-pipelines")
