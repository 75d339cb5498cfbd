"""What a flow with an ERP is killed and frozen on: a store, a sandbox's ERP, and children."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import Addresses
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.erp_child import (
    APPLICATION,
    LEASE_SECONDS,
    Adapter,
    Errand,
    Flow,
    run,
    sweep,
)
from commerce_pipelines_tests.crashes.kept import Rows, read_rows, write_rows
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.store.catalog import Catalog

PATIENCE_SECONDS = 10.0

# What a frozen child holds is left out.
TIME_PASSES = """
    UPDATE message SET next_try_at = now();
    UPDATE saga_step SET settle_at = now() WHERE settle_at IS NOT NULL;
    UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL;
    UPDATE saga SET next_try_at = now(),
        lease_until = CASE WHEN holder IS NULL THEN NULL ELSE now() - interval '1 s' END
    FROM (SELECT saga_id AS id FROM saga FOR UPDATE SKIP LOCKED) AS free WHERE saga_id = id"""

_END_CHILDREN = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :application"""


class Ground:
    """A store and an ERP, and children sent to them; brought back before each case.

    Args:
        adapter: How the ERP is spoken with.
        addresses: Of the sandbox.
        postgres_url: The store; whatever is in it is deleted.
        directory: For the names of the points.

    Attributes:
        late_seconds: How long after a request the ERP may still apply it.
    """

    def __init__(
        self, adapter: type[RestErp], addresses: Addresses, postgres_url: str, directory: Path
    ) -> None:
        self.erp = open_sandbox_erp(addresses, patience_seconds=0.0, kind=adapter)
        self.world = SandboxWorld(addresses, self.erp)
        self.ledger = Ledger(connect(postgres_url, pool_size=2), LEASE_SECONDS)
        self.store = Catalog(self.ledger.engine)
        self.late_seconds = 0.0
        self._addresses = addresses
        self._postgres_url = postgres_url
        self._directory = directory
        self._clear(Rows({}, {}))
        self.prepare()
        self._kept = read_rows(self.ledger.engine)

    def prepare(self) -> None:
        """Makes what the store has before each case; it is kept over the cases."""

    def stage(self) -> None:
        """Makes what the ERP has before each case, and what of the store goes with it."""

    def restore(self) -> None:
        """Makes everything as it is before a case, whatever the last one has left."""
        self.await_late()
        self._clear(self._kept)
        self.stage()

    def _clear(self, rows: Rows) -> None:
        # The server closes idle connections after seconds, perhaps just when they are used.
        self.erp.close()
        while self.store.values(_END_CHILDREN, application=APPLICATION):
            time.sleep(0.002)
        for what in ("", "/effects", "/state"):
            self.world.ask("DELETE", what)
        write_rows(self.ledger.engine, rows)

    def close(self) -> None:
        """Closes the connections of this process."""
        self.erp.close()
        self.ledger.engine.dispose()

    def send(
        self,
        flow: Flow,
        stop: Stop | None = None,
        *,
        adapter: Adapter | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Child:
        """Starts a child."""
        errand = Errand(
            flow,
            adapter or type(self.erp),
            self._postgres_url,
            erp_url=self._addresses["erp"]["url"],
            erp_key=self._addresses["erp"]["api_key"],
            notes=self._directory / uuid4().hex,
            stop=stop,
            settings=settings or {},
        )
        return Child(run, errand)

    def finish(self, flow: Flow, stop: Stop | None = None, **options: Any) -> tuple[int, list[str]]:
        """Sends a child and waits for it; returns how it ended and the points it passed."""
        child = self.send(flow, stop, **options)
        return child.finish(), child.points()

    def kill(self, flow: Flow, point: int, **options: Any) -> list[str]:
        """Kills a child at a point."""
        code, passed = self.finish(flow, Stop(point), **options)
        return [] if code == -9 else [f"the point was not reached: {passed[-1:]}"]

    @contextmanager
    def frozen(self, flow: Flow, point: int, **options: Any) -> Iterator[None]:
        """Has a child frozen at a point, which goes on to its end afterwards."""
        child = self.send(flow, Stop(point, frozen=True), **options)
        assert child.freeze(), f"the point was not reached: {child.points()[-1:]}"
        try:
            yield
        finally:
            child.thaw()

    def show(self, fault: Mapping[str, Any]) -> None:
        """Has the ERP show a fault."""
        self.late_seconds = fault["seconds"] + 0.1 if "seconds" in fault else 0.0
        self.world.fault(**fault)

    def await_late(self) -> None:
        """Waits until the ERP has applied what it applies late: one request at most."""
        time.sleep(self.late_seconds)
        self.late_seconds = 0.0

    def heal(self) -> None:
        """Ends the ERP's faults."""
        self.world.ask("DELETE", "")

    def recover(self) -> None:
        """Sweeps and audits until nothing is half-done, after all times have run out."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.store.execute(TIME_PASSES)
            sweep(self.ledger, self.erp)
            if not self.live() or time.monotonic() > deadline:
                return
            time.sleep(0.01)

    def live(self) -> list[tuple[Any, ...]]:
        """Returns the sagas that are not finished."""
        return self.store.rows("SELECT saga_id, status, reason FROM saga WHERE finished_at IS NULL")
