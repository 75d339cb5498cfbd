"""The ground of one case: a store, a Sanity, an order system, and children sent into it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import recovery
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.crashes import orders, scenes
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.kept import Rows, read_rows, write_rows
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.crashes.systems import Systems, running_systems
from commerce_pipelines_tests.databases import KEEPER, Databases
from commerce_pipelines_tests.factories import full_product, product
from commerce_pipelines_tests.services.brand_sides import both_sides
from commerce_pipelines_tests.services.cms import Cms, Document
from commerce_pipelines_tests.services.shop import Shop

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
LIVE = "SELECT saga_id FROM saga WHERE status IN ('running', 'aborting')"

_OURSELVES = "ground"
_END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND application_name <> ALL (:spared)"""


@dataclass(frozen=True)
class Kept:
    """What a ground can be brought back to.

    Attributes:
        rows: The store.
        documents: Sanity.
    """

    rows: Rows
    documents: list[Document]


class Ground:
    """A store with products, one of which an editor has touched, and a feed that waits.

    Attributes:
        systems: The outside systems.
        shop: The store, in the hands of this process.
        cms: Sanity as its editors see it.
        sides: The brands of the store and of the brand system.
        orders: The order system.
    """

    def __init__(self, systems: Systems, postgres_url: str, notes: Path) -> None:
        self.systems = systems
        self.orders = systems.orders
        self._sandbox = systems.sandbox
        self._postgres_url = postgres_url
        self._notes = notes
        self._numbers = count(1)
        self._children: list[Child] = []
        engine = connect(postgres_url, pool_size=2, application=_OURSELVES)
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
        self.restore(Kept(Rows({}, {}), []))
        self.shop.take(*OLD)
        # No scene is about bringing these brands to the other side.
        self.shop.change("UPDATE message SET state = 'done' WHERE topic = 'brands'")
        (document_id,) = [
            document["_id"]
            for document in self.cms.documents().values()
            if document["title"] == OLD[0]["title"]
        ]
        self.cms.edit(document_id, set=EDITORS_FIELD)
        self.shop.receive(*FEED, webhook_id="feed")
        self.shop.change(orders.FILL)

    def keep(self) -> Kept:
        """Returns what is here now, before any fault, child or change of brands there."""
        return Kept(read_rows(self.shop.engine), list(self.cms.documents().values()))

    def restore(self, kept: Kept) -> None:
        """Brings the ground back to what was kept, whatever a case has left."""
        self.end_children()
        self._hang_up()
        self.systems.reset()
        write_rows(self.shop.engine, kept.rows)
        self.cms.put_back(kept.documents)

    def _hang_up(self) -> None:
        """Drops idle connections: systems close them after seconds, perhaps just when used."""
        self.shop.sanity.close()
        self.sides.brand_system.close()
        self.sides.there.session.close()

    def end_children(self) -> None:
        """Ends all children and waits until the database has noticed."""
        while self._children:
            self._children.pop().kill()
        while self.shop.values(_END_SESSIONS, spared=[_OURSELVES, KEEPER]):
            time.sleep(0.002)

    def close(self) -> None:
        """Closes the connections of this process."""
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
        child = Child(scenes.run, errand)
        self._children.append(child)
        return child

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
        pause = 0.01
        while self.live():
            if time.monotonic() > deadline:
                return False
            self.owner_is_gone()
            self.sweep(control)
            time.sleep(pause)  # mostly for a settle time, which nobody may shorten
            pause = min(pause * 2, 0.2)
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
        return self.shop.values(LIVE)

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


@contextmanager
def open_ground(databases: Databases, notes: Path) -> Iterator[Ground]:
    """Opens ground with systems and a database of its own."""
    with running_systems() as systems, databases.migrated() as postgres_url:
        ground = Ground(systems, postgres_url, notes)
        ground.shop.change(orders.CREATE)
        yield ground
        ground.end_children()
        ground.shop.change("DROP TABLE crash_stock")
        ground.close()
