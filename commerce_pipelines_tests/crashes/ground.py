"""The ground of one case: a store, a Sanity, an order system, and children sent into it."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil
import requests

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines.services import recovery
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.crashes import orders, scenes
from commerce_pipelines_tests.crashes.erp import OrderSystem
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.databases import Databases
from commerce_pipelines_tests.factories import full_product, product
from commerce_pipelines_tests.services.brand_sides import both_sides
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop

PATIENCE_SECONDS = 20.0
RUN = "run-1"
EDITORS_FIELD = {"careNote": "Wipe with a dry cloth."}
OLD = [full_product(1), product(2), product(3, brand="Acme")]
FEED = [
    full_product(1, title="Product 1, new shade", description=None, variants=[]),
    product(2),
    product(3, title="Product 3, larger", brand="Zenith"),
    full_product(4, brand="Novum"),
    product(5),
]

_forks = multiprocessing.get_context("forkserver")
# Starting a process looks after all others too, which is not safe in threads.
_children = threading.Lock()
_forks.set_forkserver_preload(["pytest", scenes.__name__])


@dataclass(frozen=True)
class Systems:
    """The outside systems of one ground; reset for each case."""

    sandbox: RunningSandbox
    orders: OrderSystem

    def reset(self) -> None:
        """Makes them forget documents, orders, faults and effects."""
        faults = self.sandbox.addresses["faults"]["url"]
        for what in ("", "/effects", "/state"):
            requests.delete(faults + what, timeout=PATIENCE_SECONDS).raise_for_status()
        self.orders.reset()


@contextmanager
def running_systems() -> Iterator[Systems]:
    """Starts outside systems."""
    options = SandboxOptions(port=0, rate_limit=False)
    with RunningSandbox(options) as sandbox, OrderSystem() as order_system:
        yield Systems(sandbox, order_system)


class Ground:
    """A store with products, one of which an editor has touched, and a feed that waits.

    Attributes:
        shop: The store, in the hands of this process.
        cms: Sanity as its editors see it.
        sides: The brands of the store and of the brand system.
        orders: The order system.
    """

    def __init__(self, systems: Systems, postgres_url: str, notes: Path) -> None:
        self._sandbox = systems.sandbox
        self.orders = systems.orders
        self._postgres_url = postgres_url
        self._notes = notes
        self._numbers = count(1)
        engine = connect(postgres_url, pool_size=2)
        sanity = Sanity.open(
            **systems.sandbox.addresses["sanity"],
            budget=UnlimitedBudget(),
            retry=RetryPolicy(budget_seconds=0.0),
        )
        self.shop = Shop(Ledger(engine, scenes.LEASE_SECONDS), sanity)
        self.cms = Cms(systems.sandbox.addresses)
        self._open_sides = both_sides(self.shop.ledger, systems.sandbox.addresses, empty=False)
        self.sides = self._open_sides.__enter__()

    def prepare(self) -> None:
        """Fills the store and leaves a feed in the inbox."""
        self.shop.take(*OLD)
        (document_id,) = [
            document["_id"]
            for document in self.cms.documents().values()
            if document["title"] == OLD[0]["title"]
        ]
        self.cms.edit(document_id, set=EDITORS_FIELD)
        self.shop.receive(*FEED, webhook_id="feed")
        self.shop.change(orders.CREATE)
        self.shop.change(orders.FILL)

    def close(self) -> None:
        """Closes the connections of this process and takes its own table away."""
        self.shop.change("DROP TABLE IF EXISTS crash_stock")
        self._open_sides.__exit__(None, None, None)
        self.shop.sanity.close()
        self.shop.engine.dispose()

    def send(
        self,
        scene: str,
        *,
        run_id: str = RUN,
        stop: Stop | None = None,
        control: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Child:
        """Starts a child."""
        errand = scenes.Errand(
            scene=scene,
            run_id=run_id,
            postgres_url=self._postgres_url,
            sanity=self._sandbox.addresses["sanity"],
            brands=self._sandbox.addresses["brands"],
            orders_url=self.orders.url,
            notes=self._notes / f"{next(self._numbers)}.txt",
            stop=stop,
            control=control,
            settings=settings or {},
        )
        child = _forks.Process(target=scenes.run, args=(errand,), daemon=True)
        with _children:
            child.start()
        return Child(child, errand.notes)

    @property
    def token(self) -> str:
        """The secret that Sanity wants."""
        return self._sandbox.addresses["sanity"]["token"]

    def owner_is_gone(self) -> None:
        """Lets all leases and waiting times have run out, but of rows that a frozen child holds."""
        self.shop.change("UPDATE message SET next_try_at = now()")
        self.shop.change("""
            UPDATE saga SET next_try_at = now(),
                lease_until = CASE WHEN holder IS NULL THEN NULL ELSE now() - interval '1 s' END
            FROM (SELECT saga_id AS id FROM saga FOR UPDATE SKIP LOCKED) AS free
            WHERE saga_id = id""")

    def recover(self, control: str | None = None, patience_seconds: float = 10.0) -> bool:
        """Sweeps until nothing is half-done; tells whether that was reached."""
        deadline = time.monotonic() + patience_seconds
        while self.live():
            if time.monotonic() > deadline:
                return False
            self.owner_is_gone()
            self.sweep(control)
        return True

    def sweep(self, control: str | None = None) -> None:
        """Sweeps once, in a child if a mechanism is to be switched off."""
        if control is not None:
            self.send("sweep", run_id="sweep", control=control).finish()
            return
        sanity, http = self.shop.sanity, HttpSession(self.orders.url)
        world = scenes.World(self.shop.ledger, sanity, self.sides.brand_system, http, "sweep")
        recovery.sweep(world.compensator, "sweep")
        http.close()

    def audit(self, control: str | None = None) -> None:
        """Lets the time of all audits have come, and sweeps."""
        self.shop.change("UPDATE saga_step SET audit_at = now() WHERE audit_at IS NOT NULL")
        self.sweep(control)

    def live(self) -> list[str]:
        """Returns the sagas that are neither finished nor parked."""
        return self.shop.values("SELECT saga_id FROM saga WHERE status IN ('running', 'aborting')")

    def finish(self, scene: str) -> None:
        """Lets what a scene was at be done in the end."""
        self.owner_is_gone()
        if scene == "sync_brands":
            self.sides.sync("drain")
        elif scene == "push_brands":
            self.sides.push("drain")
        else:
            self.shop.run("drain")

    def waiting(self, scene: str) -> list[tuple[object, ...]]:
        """Returns the messages of a scene that are not done."""
        topic = "brands" if "brands" in scene else "products"
        return self.shop.rows(
            "SELECT id, state, last_error FROM message WHERE state <> 'done' AND topic = :topic",
            topic=topic,
        )

    def last_status(self) -> str | None:
        """Returns where the newest saga stands; None before there is one."""
        statuses = self.shop.values(
            "SELECT status FROM saga WHERE root_run_id = :run ORDER BY created_at DESC LIMIT 1",
            run=RUN,
        )
        return statuses[0] if statuses else None


class Child:
    """A process of its own in a case."""

    def __init__(self, process: ForkServerProcess, notes: Path) -> None:
        self._process = process
        self._notes = notes

    def finish(self) -> int:
        """Waits for its end and returns its exit code, -9 after SIGKILL."""
        deadline = time.monotonic() + PATIENCE_SECONDS * 2
        while (code := self.exit_code()) is None:
            if time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(f"a child hangs after {self.points()[-3:]}")
            time.sleep(0.002)
        return code

    def exit_code(self) -> int | None:
        """Returns its exit code; None while it is there."""
        with _children:
            return self._process.exitcode

    def has_ended(self) -> bool:
        """Tells whether it is no longer there."""
        return self.exit_code() is not None

    def kill(self) -> None:
        """Kills it wherever it is."""
        self._process.kill()
        self.finish()

    def freeze(self) -> bool:
        """Waits until it has frozen; False if it ended before."""
        while self.exit_code() is None:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED:
                    return True
            time.sleep(0.005)
        return False

    def thaw(self) -> None:
        """Lets it go on, and waits for its end."""
        psutil.Process(self._process.pid).resume()
        self.finish()

    def points(self) -> list[str]:
        """Returns the points that it has passed or stopped at."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []


@dataclass(frozen=True)
class Grounds:
    """Gives grounds to cases, one at a time to each caller."""

    databases: Databases
    notes: Path

    @contextmanager
    def lend(self, systems: Systems) -> Iterator[Ground]:
        """Lends prepared ground for one case."""
        systems.reset()
        with self.databases.migrated() as postgres_url:
            notes = self.notes / f"{time.monotonic_ns()}"
            notes.mkdir()
            ground = Ground(systems, postgres_url, notes)
            ground.prepare()
            try:
                yield ground
            finally:
                ground.close()
