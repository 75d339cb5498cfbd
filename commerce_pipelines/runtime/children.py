"""The child processes of `up` and `demo`, as these see them.

Belongs here: ordering services, waiting until they are ready, hearing of their
deaths, ending them. Does not belong here: the work itself, which the guardian
does so that it is also done when this process is killed; see `guardian`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.failures import StackError
from commerce_pipelines.runtime.link import GuardianLink
from commerce_pipelines.runtime.logs import last_lines, log_path
from commerce_pipelines.runtime.postgres import DATABASE, server_url
from commerce_pipelines.runtime.protocol import POSTGRES, Event, StartPostgres, StartService

_TICK_SECONDS = 0.1
_READY_PATIENCE_SECONDS = 120.0


def at_once() -> bool:
    """Is the readiness of a service that nobody connects to."""
    return True


@dataclass(frozen=True)
class Service:
    """A program of the stack.

    Attributes:
        name: Its name in events; its output goes to `home/logs/<name>.log`.
        command: The program and its arguments.
        environment: What it gets on top of our own environment.
        ready: Tells whether it takes work yet; asked again and again.
        restart: Whether it is started again when it dies.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Callable[[], bool] = at_once
    restart: bool = True


class Stack:
    """The services of one home; nothing of them outlives this process.

    Use it as a context manager, in one thread:

        with Stack(home, on_event=show) as stack:
            url = stack.start_postgres()
            ...  # migrate
            stack.start([sandbox, code_server])
            stack.start([webserver, daemon, endpoint])
            stack.wait()

    Args:
        home: The directory with everything that the stack keeps; one stack at a time.
        on_event: Told what has happened, whenever a method runs.
        ready_patience_seconds: How long services may take until they are ready.
    """

    def __init__(
        self,
        home: Path,
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        ready_patience_seconds: float = _READY_PATIENCE_SECONDS,
    ) -> None:
        self._home = home.absolute()
        self._on_event = on_event
        self._ready_patience_seconds = ready_patience_seconds
        self._link: GuardianLink | None = None
        self._socket_directory: Path | None = None

    def __enter__(self) -> Self:
        """Takes possession of the home.

        Raises:
            ConfigurationError: A stack is already running there, or it cannot be used.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._link = GuardianLink(self._home)
        except OSError as error:
            raise ConfigurationError(f"{self._home} cannot be used: {error}") from error
        try:
            self._await_event("guarding", "")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start_postgres(self, *, keep: bool = True) -> str:
        """Starts the embedded PostgreSQL and returns the address of its database.

        Args:
            keep: Whether the data are safe and outlive the stack; tests do without.

        Raises:
            ConfigurationError: The system does not let us.
            StackError: It does not come up; the text ends with its log.
        """
        self._open_link().order(StartPostgres(keep=keep))
        self._socket_directory = Path(self._await_event("ready", POSTGRES).detail)
        return self.postgres_url()

    def postgres_url(self, database: str = DATABASE) -> str:
        """Returns the address of a database in the embedded PostgreSQL.

        Raises:
            StackError: `start_postgres` was not called.
        """
        if self._socket_directory is None:
            raise StackError(f"PostgreSQL in {self._home} is not started.")
        return server_url(self._socket_directory, database)

    def start(self, services: Sequence[Service]) -> None:
        """Starts services side by side and returns when all of them are ready.

        Raises:
            StackError: One died or was not ready in time; the text ends with its log.
        """
        for service in services:
            order = StartService(
                name=service.name,
                command=list(service.command),
                environment=dict(service.environment),
                restart=service.restart,
            )
            self._open_link().order(order)
        self._await_ready({service.name: service for service in services})

    def poll(self) -> None:
        """Tells `on_event` what has happened meanwhile, without waiting.

        Raises:
            StackError: The stack has ended without being asked.
        """
        self._receive(0)

    def wait(self) -> NoReturn:
        """Waits for an interrupt, telling `on_event` what happens.

        Raises:
            StackError: The stack has ended without being asked.
        """
        while True:
            self._receive(1.0)

    def stop(self) -> None:
        """Ends all services with their descendants, and PostgreSQL last."""
        link, self._link = self._link, None
        if link is not None:
            for event in link.close():
                self._on_event(event)

    def _open_link(self) -> GuardianLink:
        if self._link is None:
            raise StackError(f"The stack in {self._home} is not started.")
        return self._link

    def _receive(self, patience_seconds: float) -> list[Event]:
        events = self._open_link().receive(patience_seconds)
        for event in events:
            self._on_event(event)
        return events

    def _await_event(self, kind: str, service: str) -> Event:
        while True:
            for event in self._receive(_TICK_SECONDS):
                if (event.kind, event.service) == (kind, service):
                    return event
                if event.service == service:
                    self._check_start(event)

    def _await_ready(self, waiting: dict[str, Service]) -> None:
        started: set[str] = set()
        deadline = time.monotonic() + self._ready_patience_seconds
        while waiting:
            for event in self._receive(_TICK_SECONDS):
                if event.service in waiting:
                    self._check_start(event)
                    started.add(event.service)
            for name in [name for name in started if waiting[name].ready()]:
                started.remove(name)
                del waiting[name]
                self._on_event(Event(kind="ready", service=name))
            if waiting and time.monotonic() > deadline:
                raise self._failure(min(waiting), "was not ready in time")

    def _check_start(self, event: Event) -> None:
        match event.kind:
            case "refused":
                raise ConfigurationError(event.detail)
            case "failed":
                raise StackError(f"{event.service} could not be started: {event.detail}")
            case "died":
                raise self._failure(event.service, f"ended before it was ready, {event.detail}")

    def _failure(self, service: str, what: str) -> StackError:
        path = log_path(self._home, service)
        return StackError(f"{service} {what}. The end of {path}:\n{last_lines(path)}")
