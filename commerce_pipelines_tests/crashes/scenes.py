"""What a child process does: a run's ops, a failing run with its hook, a recovery."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import API_VERSION, Sanity
from commerce_pipelines.connectors.sanity_mutations import pack
from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import brand_push, brand_sync, pim_import, recovery
from commerce_pipelines.services.brand_push import BrandPush
from commerce_pipelines.services.brand_sync import BrandSync
from commerce_pipelines.services.pim_import import OpenPage, PimImport
from commerce_pipelines.store.engine import connect
from commerce_pipelines_tests.crashes import controls, orders
from commerce_pipelines_tests.crashes.points import Points, Stop
from commerce_pipelines_tests.crashes.traced import TracedHttp, trace_statements

# Longer than any case: whoever is to be taken over has its lease ended in the database.
LEASE_SECONDS = 20.0
DOCUMENTS_IN_A_TRANSACTION = 2


@dataclass(frozen=True)
class Errand:
    """What a child is sent to do.

    Attributes:
        scene: One of `SCENES`.
        run_id: Under which run.
        postgres_url: The store.
        sanity: Sanity's address.
        brands: The brand system's address.
        orders_url: The order system.
        notes: File for the names of the points.
        stop: Where it dies or freezes.
        control: A mechanism that is switched off in it.
        settings: What its database sessions set.
    """

    scene: str
    run_id: str
    postgres_url: str
    sanity: dict[str, str]
    brands: dict[str, str]
    orders_url: str
    notes: Path
    stop: Stop | None = None
    control: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """What the scenes work on."""

    ledger: Ledger
    sanity: Sanity
    brands: BrandSystem
    orders: HttpSession
    run_id: str

    @property
    def compensator(self) -> Compensator:
        """What undoes the sagas of all kinds."""
        kinds = {
            **recovery.compensator(self.ledger, self.sanity, self.brands).kinds,
            orders.KIND: orders.steps(self.orders),
        }
        return Compensator(self.ledger, kinds)


def run(errand: Errand) -> None:
    """Does an errand; the body of a child process."""
    # Else the collector looks through, and so copies, all that is shared with the parent.
    gc.freeze()
    if errand.control is not None:
        controls.switch_off(errand.control)
    # A few products, and yet more than one transaction.
    vars(pim_import)["pack"] = partial(pack, max_count=DOCUMENTS_IN_A_TRANSACTION)
    points = Points(errand.notes, errand.stop)
    engine = connect(errand.postgres_url, pool_size=2, application="crash")
    trace_statements(engine, points, errand.settings)
    impatient = RetryPolicy(budget_seconds=0.0)
    http = TracedHttp(
        f"{errand.sanity['url']}/{API_VERSION}",
        secret_headers={"Authorization": f"Bearer {errand.sanity['token']}"},
        retry=impatient,
    )
    order_http = TracedHttp(errand.orders_url, retry=impatient)
    brand_http = TracedHttp(
        errand.brands["url"],
        secret_headers={"X-Api-Key": errand.brands["api_key"]},
        retry=impatient,
    )
    http.points = order_http.points = brand_http.points = points
    sanity = Sanity(http, errand.sanity["dataset"], UnlimitedBudget())
    brands = BrandSystem(brand_http, UnlimitedBudget())
    SCENES[errand.scene](
        World(Ledger(engine, LEASE_SECONDS), sanity, brands, order_http, errand.run_id)
    )


def import_page(world: World) -> None:
    """Does what the ops of one import do, and its hook when they fail; goes on where it was."""
    flow = PimImport(world.ledger, world.sanity, world.run_id)
    with suppress(CommerceError):
        opened = _opened_before(world) or flow.open_page()
        if opened is not None:
            flow.store_page(opened)
            flow.publish_page(opened.saga_id)
        return
    recovery.compensate_run(world.compensator, world.run_id)


def export_order(world: World) -> None:
    """Exports an order."""
    with suppress(CommerceError):
        orders.export(world.ledger, world.orders, world.run_id, fails=False)
        return
    recovery.compensate_run(world.compensator, world.run_id)


def fail_order(world: World) -> None:
    """Exports an order, fails after the last step and undoes it, as the hook does."""
    with suppress(CommerceError):
        orders.export(world.ledger, world.orders, world.run_id, fails=True)
    recovery.compensate_run(world.compensator, world.run_id)


def sync_brands(world: World) -> None:
    """Does what the ops of one brand sync do; goes on where it was."""
    flow = BrandSync(world.ledger, world.brands, world.run_id)
    with suppress(CommerceError):
        retrieved = flow.retrieve()
        saga_id = _begun(world, brand_sync.KIND) or flow.decide(retrieved).saga_id
        if saga_id is not None:
            flow.create(saga_id, retrieved)
            flow.update(saga_id, retrieved)
        return
    recovery.compensate_run(world.compensator, world.run_id)


def push_brands(world: World) -> None:
    """Does what the op of one brand push does; goes on where it was."""
    flow = BrandPush(world.ledger, world.brands, world.run_id)
    with suppress(CommerceError):
        while saga_id := _begun(world, brand_push.KIND) or flow.claim():
            flow.push(saga_id)
        return
    recovery.compensate_run(world.compensator, world.run_id)


def sweep(world: World) -> None:
    """Sweeps once."""
    recovery.sweep(world.compensator, world.run_id)


def work(world: World) -> None:
    """Imports one message a saga for ever, whatever goes wrong with the database."""
    vars(pim_import)["MOST_PRODUCTS"] = 1
    while True:
        try:
            import_page(world)
        except DBAPIError:
            time.sleep(0.1)


SCENES = {
    each.__name__: each
    for each in (import_page, export_order, fail_order, sync_brands, push_brands, sweep, work)
}


def _begun(world: World, kind: str) -> str | None:
    """Returns the running saga of a kind that an earlier process of this run has opened."""
    with world.ledger.engine.connect() as connection:
        return connection.execute(
            text("""
                SELECT saga_id FROM saga
                WHERE kind = :kind AND last_run_id = :run_id AND status = 'running'"""),
            {"kind": kind, "run_id": world.run_id},
        ).scalar_one_or_none()


def _opened_before(world: World) -> OpenPage | None:
    """Returns the page that an earlier process of this run has opened."""
    with world.ledger.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT saga.saga_id, array_agg(message.id ORDER BY message.id) AS ids
                FROM saga JOIN message ON message.saga_id = saga.saga_id
                WHERE saga.last_run_id = :run_id AND saga.status = 'running' GROUP BY 1"""),
            {"run_id": world.run_id},
        ).all()
    return OpenPage(rows[0].saga_id, rows[0].ids) if rows else None
