"""The process that answers for a stack, so that nothing of it stays behind.

    up, demo ──pipe──▶ guardian ──▶ PostgreSQL, services ──▶ their own children

Belongs here: starting what the calling process orders, and ending all of it,
PostgreSQL last, when asked to or when the calling process is gone for whatever
reason. Does not belong here: which services there are, and when they are ready.

- It has a session of its own: Ctrl-C in a terminal reaches the caller only.
- It adopts orphans (Linux), so a descendant cannot leave by losing its parent.
- Its children are tethered to it: when it is itself killed they get a SIGTERM.
  What escapes even that carries the stack's mark, and is ended by the calling
  process, or else by the home's next guardian.
- It has one thread, which the tether demands.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import psutil

from commerce_pipelines.runtime.child import Child
from commerce_pipelines.runtime.leftovers import (
    bury_adopted,
    descendants,
    end_all,
    mark_of,
    marked,
)
from commerce_pipelines.runtime.lock import STACK_LOCK, OwnerLock
from commerce_pipelines.runtime.logs import begin_log, open_log
from commerce_pipelines.runtime.postgres import EmbeddedPostgres
from commerce_pipelines.runtime.protocol import (
    POSTGRES,
    Event,
    LineReader,
    StartPostgres,
    StartService,
    read_order,
)
from commerce_pipelines.runtime.tether import adopt_orphans, tethered

_TICK_SECONDS = 0.1
_END_PATIENCE_SECONDS = 5.0
# A stack whose caller has just died needs this long at most to go.
_LOCK_PATIENCE_SECONDS = 30.0


class Guardian:
    """Keeps the services of one home, from the first order until the end.

    Args:
        home: The stack's directory; one guardian at a time.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._caller = os.getppid()
        self._lock = OwnerLock(home / STACK_LOCK)
        self._children: dict[str, Child] = {}
        self._postgres: EmbeddedPostgres | None = None
        self._keep = True
        self._told_to_end = False

    def run(self) -> int:
        """Works until the end and returns the exit code."""
        if not self._lock.acquire(_LOCK_PATIENCE_SECONDS):
            _emit(Event(kind="refused", detail=f"A stack is already running in {self._home}."))
            return 1
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(ending, self._note_signal)
        adopt_orphans()
        end_all(lambda: marked(self._home), _END_PATIENCE_SECONDS)
        _emit(Event(kind="guarding"))
        try:
            self._serve()
        finally:
            self._end()
        return 0

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._told_to_end = True

    def _serve(self) -> None:
        orders = LineReader(sys.stdin.fileno())
        while not orders.ended and not self._told_to_end and os.getppid() == self._caller:
            for line in orders.read(_TICK_SECONDS):
                self._obey(read_order(line))
            for child in self._children.values():
                if event := child.check():
                    self._report(event)
            bury_adopted({child.pid for child in self._children.values()})

    def _obey(self, order: StartService | StartPostgres) -> None:
        match order:
            case StartPostgres():
                name, restart, launch = POSTGRES, True, self._open_postgres(order).start
            case StartService():
                name, restart = order.name, order.restart
                launch = functools.partial(self._launch, order)
        begin_log(self._home, name)
        self._children[name] = Child(name, launch, restart=restart)
        self._report(self._children[name].start())

    def _open_postgres(self, order: StartPostgres) -> EmbeddedPostgres:
        self._keep = order.keep
        self._postgres = EmbeddedPostgres(self._home, durable=order.keep, tether=True)
        return self._postgres

    def _report(self, event: Event) -> None:
        _emit(event)
        if self._postgres and event.service == POSTGRES and event.kind in ("started", "restarted"):
            directory = str(self._postgres.socket_directory)
            _emit(Event(kind="ready", service=POSTGRES, detail=directory))

    def _launch(self, order: StartService) -> subprocess.Popen[bytes]:
        with open_log(self._home, order.name) as log:
            return subprocess.Popen(
                order.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **order.environment, **mark_of(self._home)},
                start_new_session=True,
                preexec_fn=tethered(signal.SIGTERM),  # noqa: PLW1509 - we have one thread
            )

    def _find_all_but_postgres(self) -> set[psutil.Process]:
        spared = self._children.get(POSTGRES)
        return descendants(spared.pid if spared else None) | marked(self._home)

    def _end(self) -> None:
        self._lock.announce_leaving()
        end_all(self._find_all_but_postgres, _END_PATIENCE_SECONDS)
        if self._postgres is not None and self._keep:
            self._postgres.stop()
        elif self._postgres is not None:
            self._postgres.destroy()
        _emit(Event(kind="stopped"))
        self._lock.release()


def _emit(event: Event) -> None:
    # Nobody reads when the caller is gone.
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), event.line())


if __name__ == "__main__":
    sys.exit(Guardian(Path(sys.argv[1])).run())
