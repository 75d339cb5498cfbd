"""Where the ERP's flows are killed and frozen: a store and a sandbox's ERP, several at once."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines.services import recovery
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.erp_child import (
    LEASE_SECONDS,
    Adapter,
    Errand,
    Flow,
    compensator,
    run,
)
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.databases import Databases
from commerce_pipelines_tests.store.catalog import Catalog

AT_ONCE = 3
# The points with different states outside the process.
OUTSIDE = ("after", "no answer", "before GET", "before POST", "before PUT")
PATIENCE_SECONDS = 10.0

# What a frozen child holds is left out.
TIME_PASSES = """
    UPDATE message SET next_try_at = now();
    UPDATE saga_step SET settle_at = now() WHERE settle_at IS NOT NULL;
    UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL;
    UPDATE saga SET next_try_at = now(),
        lease_until = CASE WHEN holder IS NULL THEN NULL ELSE now() - interval '1 s' END
    FROM (SELECT saga_id AS id FROM saga FOR UPDATE SKIP LOCKED) AS free WHERE saga_id = id"""


@dataclass
class Ground:
    """A store and an ERP, and children sent to them.

    Attributes:
        late_seconds: How long after its request the ERP may still apply it.
    """

    erp: RestErp
    world: SandboxWorld
    ledger: Ledger
    postgres_url: str
    addresses: Addresses
    directory: Path
    late_seconds: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        self.store = Catalog(self.ledger.engine)

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
            self.postgres_url,
            erp_url=self.addresses["erp"]["url"],
            erp_key=self.addresses["erp"]["api_key"],
            notes=self.directory / uuid4().hex,
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

    def heal(self) -> None:
        """Ends the ERP's faults."""
        self.world.ask("DELETE", "")

    def recover(self) -> None:
        """Sweeps and audits until nothing is half-done, after all times have run out."""
        time.sleep(self.late_seconds)
        self.late_seconds = 0.0  # one request is late at most
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.store.execute(TIME_PASSES)
            recovery.sweep(compensator(self.ledger, self.erp), "sweep")
            if not self.live() or time.monotonic() > deadline:
                return
            time.sleep(0.01)

    def live(self) -> list[tuple[Any, ...]]:
        """Returns the sagas that are not finished."""
        return self.store.rows("SELECT saga_id, status, reason FROM saga WHERE finished_at IS NULL")


G = TypeVar("G", bound=Ground)


@dataclass(frozen=True)
class ErpField:
    """Lends ground for cases."""

    databases: Databases
    directory: Path
    _free: queue.Queue[RunningSandbox]

    @contextmanager
    def ground(self, kind: Callable[..., G], adapter: type[RestErp] = RestErp) -> Iterator[G]:
        """Lends ground for one case, whose ERP is spoken with by an adapter."""
        sandbox = self._free.get()
        addresses = sandbox.addresses
        try:
            with (
                self.databases.migrated() as url,
                closing(open_sandbox_erp(addresses, patience_seconds=0.0, kind=adapter)) as erp,
            ):
                engine = connect(url, pool_size=2)
                world = SandboxWorld(addresses, erp)
                for what in ("", "/effects", "/state"):
                    world.ask("DELETE", what)
                ledger = Ledger(engine, LEASE_SECONDS)
                yield kind(erp, world, ledger, url, addresses, self.directory)
                engine.dispose()
        finally:
            self._free.put(sandbox)


@contextmanager
def open_erp_field(databases: Databases, directory: Path) -> Iterator[ErpField]:
    """Starts as many sandboxes as cases are done at once."""
    with ExitStack() as stack:
        free: queue.Queue[RunningSandbox] = queue.Queue()
        field = ErpField(databases, directory, free)
        for _ in range(AT_ONCE):
            free.put(stack.enter_context(RunningSandbox(SandboxOptions(port=0, rate_limit=False))))
            # One after the other: routes are built by the first request, in no safe way.
            with field.ground(Ground) as ground:
                ground.erp.find_product("none")
        yield field


def numbered(points: Sequence[str], *beginnings: str) -> dict[int, str]:
    """Returns the points by number; only those with such a beginning, if any is given."""
    return {
        number: name
        for number, name in enumerate(points, 1)
        if not beginnings or name.startswith(beginnings)
    }


def each(points: Mapping[int, str], case: Callable[[int], list[str]]) -> list[str]:
    """Does a case at each of the points, several at once; returns what was violated where."""

    def one(point: int) -> list[str]:
        return [f"point {point} ({points[point]}): {seen}" for seen in case(point)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [seen for found in pool.map(one, points) for seen in found]
