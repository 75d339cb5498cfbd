"""What the calling process and the guardian say to each other: JSON lines.

Belongs here: the orders on the guardian's standard input, the events on its
standard output. Does not belong here: what either does about them.
"""

from __future__ import annotations

import os
import select
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

POSTGRES = "postgres"
"""What the embedded PostgreSQL is called in events."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def line(self) -> bytes:
        """Returns the message as one line of JSON."""
        return self.model_dump_json().encode() + b"\n"


class StartService(_Message):
    """Starts a service and, if wanted, starts it again whenever it dies."""

    order: Literal["start_service"] = "start_service"
    name: str
    command: list[str]
    environment: dict[str, str] = Field(repr=False)
    restart: bool


class StartPostgres(_Message):
    """Starts the embedded PostgreSQL; `keep` says whether its data outlive the stack."""

    order: Literal["start_postgres"] = "start_postgres"
    keep: bool


class Event(_Message):
    """Something that happened to a service.

    kind:
        guarding    the guardian takes orders
        refused     a setting or the machine does not allow it; `detail` says why
        started     it runs; `detail` is its pid
        ready       it takes work; PostgreSQL's `detail` is its socket directory
        died        it ended without being asked; `detail` is how
        restarted   it runs again; `detail` is its pid
        failed      it could not be started; `detail` says why
        stopped     all of the stack has ended
    """

    kind: Literal[
        "guarding", "refused", "started", "ready", "died", "restarted", "failed", "stopped"
    ]
    service: str = ""
    detail: str = ""


Order = Annotated[StartService | StartPostgres, Field(discriminator="order")]
_ORDER: TypeAdapter[StartService | StartPostgres] = TypeAdapter(Order)


def read_order(line: bytes) -> StartService | StartPostgres:
    """Reads one line of the guardian's standard input."""
    return _ORDER.validate_json(line)


def read_event(line: bytes) -> Event:
    """Reads one line of the guardian's standard output."""
    return Event.model_validate_json(line)


class LineReader:
    """Reads lines from a pipe without waiting longer than told.

    Attributes:
        ended: Whether the other side has closed the pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False

    def read(self, patience_seconds: float) -> list[bytes]:
        """Returns the lines that are there; waits only while there is nothing at all."""
        readable, _, _ = select.select([self._descriptor], [], [], patience_seconds)
        if not readable:
            return []
        received = os.read(self._descriptor, 65536)
        self.ended = not received
        *lines, self._rest = (self._rest + received).split(b"\n")
        return lines
