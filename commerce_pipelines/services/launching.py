"""Starting an import as soon as a message is stored.

Belongs here: when a run is asked for. Does not belong here: what it does, and
the promise that it comes: that is the sensor's, which finds every message that
this thread missed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from commerce_pipelines.connectors.dagster_webserver import FINISHED, DagsterWebserver
from commerce_pipelines.errors import CommerceError, ConfigurationError, NotFound
from commerce_pipelines.services import pim_import, product_update
from commerce_pipelines.services.drain import drain_key

LOOK_SECONDS = 1.0
PAUSE_AFTER_FAILURE_SECONDS = 5.0
# A run that has claimed nothing for so long is not waited for.
STUCK_SECONDS = 30.0
WARNING_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Work(NamedTuple):
    """What to launch, and when.

    Attributes:
        job: In Dagster.
        topic: Of the messages that it works on.
        sensor: What starts it otherwise.
    """

    job: str
    topic: str
    sensor: str

    @property
    def tags(self) -> dict[str, str]:
        """Returns what counts a run for the sensor's own look at run keys: it starts no other."""
        return {"dagster/sensor_name": self.sensor}


IMPORT = Work(pim_import.KIND, pim_import.TOPIC, "pim_messages")
PRODUCT_UPDATE = Work(product_update.KIND, product_update.TOPIC, "product_update_messages")


def utc_now() -> datetime:
    """Returns the moment, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Launch:
    """A run that was asked for.

    Attributes:
        key: Its run key.
        at_seconds: When, by the monotonic clock.
    """

    run_id: str
    key: str
    at_seconds: float

    def is_for(self, key: str) -> bool:
        """Tells whether it was for the same oldest message in the same try."""
        return self.key.split(":")[-2:] == key.split(":")[-2:]


class Launcher:
    """A thread that asks Dagster for one run at a time while messages are due.

    Args:
        engine: The store.
        webserver: Dagster; None leaves all to the sensor.
        work: What is launched, when.
        clock: Monotonic seconds; an argument for tests.
        now: The moment; an argument for tests.
    """

    def __init__(
        self,
        engine: Engine,
        webserver: DagsterWebserver | None,
        work: Work = IMPORT,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._webserver = webserver
        self._work = work
        self._clock = clock
        self._now = now
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._last: Launch | None = None
        self._warned_seconds = -WARNING_SECONDS
        # A daemon, so that a webserver that does not answer cannot hold up the exit.
        self._thread = threading.Thread(target=self._run, name="launcher", daemon=True)

    def start(self) -> None:
        """Starts the thread, which also looks for what was left from before."""
        self.wake()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=LOOK_SECONDS)

    def wake(self) -> None:
        """Says that a message was stored; returns at once."""
        self._woken.set()

    def _run(self) -> None:
        while self._woken.wait() and not self._stopping.is_set():
            self._woken.clear()
            self._launch_while_due()

    def _launch_while_due(self) -> None:
        pause: float | None = 0.0
        while pause is not None and not self._stopping.wait(pause):
            try:
                pause = self._look()
            except (CommerceError, SQLAlchemyError) as error:
                self._warn(error)
                pause = PAUSE_AFTER_FAILURE_SECONDS

    def _look(self) -> float | None:
        """Launches a run if one is needed; returns when to look again, None when nothing is due."""
        with self._engine.connect() as connection:
            key = drain_key(connection, self._work.topic, self._now())
        if key is None:
            return None
        if self._webserver is None:
            self._warn(ConfigurationError("DAGSTER_URL is not set"))
            return None
        if self._needed(self._webserver, key):
            run_id = self._webserver.launch(self._work.job, run_key=key, tags=self._work.tags)
            _log.info("launched run %s for %s", run_id, key)
            self._last = Launch(run_id, key, self._clock())
        return LOOK_SECONDS

    def _needed(self, webserver: DagsterWebserver, key: str) -> bool:
        last = self._last
        if last is None:
            return True
        if last.key == key:
            return False
        if last.is_for(key) and self._clock() - last.at_seconds > STUCK_SECONDS:
            return True
        try:
            return webserver.run_status(last.run_id) in FINISHED
        except NotFound:
            return True

    def _warn(self, error: Exception) -> None:
        if self._clock() - self._warned_seconds < WARNING_SECONDS:
            return
        self._warned_seconds = self._clock()
        reason = str(error) if isinstance(error, CommerceError) else type(error).__name__
        _log.warning(
            "%s could not be launched at once; the sensor will do it: %s", self._work.job, reason
        )
