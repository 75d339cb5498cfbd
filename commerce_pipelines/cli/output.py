"""How commands speak: tables or JSON on stdout, errors as one line on stderr, exit codes.

0  ok
1  failed, or did only part of it
2  wrong usage or bad input
3  not configured, or not reachable
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from commerce_pipelines.errors import (
    CommerceError,
    ConfigurationError,
    InvalidInput,
    Unauthorised,
    Unavailable,
)

FAILED = 1
BAD_INPUT = 2
NOT_REACHABLE = 3
INTERRUPTED = 130

_MEANING: list[tuple[type[CommerceError], int]] = [
    (InvalidInput, BAD_INPUT),
    (ConfigurationError, NOT_REACHABLE),
    (Unauthorised, NOT_REACHABLE),
    (Unavailable, NOT_REACHABLE),
]
_WIDTH_OF_FILES = 200
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_NO_SUCH_TABLE = ("42P01", "42703")
_TOO_BUSY = ("55P03", "57014")


class CommandGroup(TyperGroup):
    """Commands whose expected errors are one line and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except CommerceError as error:
            code = next((code for kind, code in _MEANING if isinstance(error, kind)), FAILED)
            raise stop(str(error), code) from error
        except Exception as error:
            text = _store_error(error)
            if text is None:
                raise
            raise stop(text, NOT_REACHABLE) from error


def stop(text: str, code: int) -> typer.Exit:
    """Says on stderr why the command ends, and returns what to raise."""
    typer.echo(f"Error: {plain(text)}", err=True)
    return typer.Exit(code)


def warn(text: str) -> None:
    """Says something on stderr and goes on."""
    typer.echo(f"Warning: {plain(text)}", err=True)


def note(text: str) -> None:
    """Says on stderr what is good to know."""
    typer.echo(plain(text), err=True)


def print_json(value: Any) -> None:
    """Prints one JSON value on one line."""
    typer.echo(json.dumps(value, default=_as_json, ensure_ascii=False))


def print_text(text: str = "") -> None:
    """Prints text as it is, but for what a terminal would take as a command."""
    typer.echo(plain(text))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table; nothing is cut off, long cells go over several lines."""
    table = Table(show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    print_text(title if table.rows else f"{title}: none")
    if table.rows:
        width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
        Console(file=sys.stdout, width=width).print(table)


def shown_moment(moment: datetime | None) -> str:
    """Returns a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else ""


def shown_seconds(seconds: float | None) -> str:
    """Returns a duration as a person reads it: 42 s, 7 min, 3 h, 2 d."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def plain(text: str) -> str:
    """Returns text without characters that a terminal obeys; foreign data may hold some."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return shown_moment(cell)
    if isinstance(cell, dict | list):
        return plain(json.dumps(cell, default=_as_json, ensure_ascii=False))
    return plain(str(cell))


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _store_error(error: Exception) -> str | None:
    """Returns what to say when the database is away or not migrated; None for other errors."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy import exc

    if isinstance(error, exc.OperationalError | exc.TimeoutError):
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        if getattr(getattr(error, "orig", None), "sqlstate", None) in _TOO_BUSY:
            return f"The store is busy ({reason}); try again."
        return f"The store is not reachable ({reason}); is the stack up, is POSTGRES_URL right?"
    if getattr(getattr(error, "orig", None), "sqlstate", None) in _NO_SUCH_TABLE:
        return "The database has an older schema or none: run `commerce-pipelines migrate`."
    return None
