"""Options that several commands share, and how people write moments."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commerce_pipelines.errors import InvalidInput

if TYPE_CHECKING:
    from commerce_pipelines.saga.operations import Decision

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="COMMERCE_HOME",
        metavar="DIR",
        show_default=".commerce",
        help="The stack's directory.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.", show_default=False)
]
Who = Annotated[
    str | None, typer.Option("--who", help="Who decided it.", show_default="the system's user")
]

_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


def moment(text: str | None) -> datetime | None:
    """Reads `2h` (ago), `3d`, or a date and time of ISO 8601, in UTC unless it says otherwise.

    Raises:
        InvalidInput: It is none of these.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        known = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no moment; write 2h, 3d or 2026-01-31T08:00Z.") from error
    return known if known.tzinfo else known.replace(tzinfo=UTC)


def given_decision(who: str | None, reason: str) -> Decision:
    """Returns who decides, by default the system's user, and why.

    Raises:
        InvalidInput: The reason says nothing, or nobody is known.
    """
    from commerce_pipelines.saga.operations import Decision

    if not reason.strip():
        raise InvalidInput("--reason is empty; say why, for those who look at it later.")
    try:
        name = (who or "").strip() or getpass.getuser()
    except (KeyError, OSError):
        raise InvalidInput("The system does not know its user; say who with --who.") from None
    return Decision(name, reason.strip())
