"""Flows that are killed while they speak with a real Tryton: nothing is left half-done.

A product is as before on both sides, or as asked for; an order stands there once, and in the
end each is there. Killed is where Tryton or the ledger has just become another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from commerce_pipelines.connectors.erp.tryton import Tryton
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import recovery
from commerce_pipelines_tests.case_counts import Note
from commerce_pipelines_tests.crashes.children import Child
from commerce_pipelines_tests.crashes.erp_child import (
    Errand,
    Flow,
    compensator,
    export_orders,
    run,
    update_products,
)
from commerce_pipelines_tests.crashes.erp_ground import TIME_PASSES
from commerce_pipelines_tests.crashes.points import Stop
from commerce_pipelines_tests.tryton.server import TrytonServer
from commerce_pipelines_tests.tryton.side import Side
from commerce_pipelines_tests.tryton.world import TrytonWorld

pytestmark = pytest.mark.tryton

WRITES = ("after POST", "after PUT")


@dataclass(frozen=True)
class Killer:
    """Sends flows into child processes.

    Attributes:
        directory: For the names of the points.
    """

    tryton: TrytonServer
    postgres_url: str
    directory: Path

    def send(self, flow: Flow, stop: Stop | None = None) -> tuple[int, list[str]]:
        """Has a flow done; returns how it ended and the points that it passed."""
        errand = Errand(
            flow,
            partial(Tryton, shop="Shop"),
            self.postgres_url,
            erp_url=self.tryton.url,
            erp_key=self.tryton.seeded["key"],
            notes=self.directory / uuid4().hex,
            stop=stop,
        )
        child = Child(run, errand)
        return child.finish(), child.points()

    def around_writes(self, flow: Flow) -> list[int]:
        """Has a flow done; returns the points after each write, and of the commits around them."""
        code, points = self.send(flow)
        assert code == 0
        at = [number for number, name in enumerate(points, 1) if name.startswith(WRITES)]
        commits = [number for number, name in enumerate(points, 1) if name == "after COMMIT"]
        before = {max(each for each in commits if each < write) for write in at}
        after = {min(each for each in commits if each > write) for write in at}
        return sorted({*at, *before, *after})


@pytest.fixture
def killer(tryton: TrytonServer, postgres_url: str, tmp_path: Path) -> Killer:
    return Killer(tryton, postgres_url, tmp_path)


@pytest.fixture
def new_side(ledger: Ledger, world: TrytonWorld, erp: Tryton) -> Callable[[], Side]:
    """Makes another product on both sides."""
    return lambda: Side(ledger, erp, world)


def recover(side: Side) -> None:
    """Sweeps and audits, after all times have run out."""
    side.catalog.execute(TIME_PASSES)
    recovery.sweep(compensator(side.ledger, side.erp), "sweep")
    assert side.catalog.values("SELECT reason FROM saga WHERE finished_at IS NULL") == []


def has_succeeded(side: Side) -> bool:
    """Tells whether the newest saga has."""
    (status,) = side.catalog.values("SELECT status FROM saga ORDER BY created_at DESC LIMIT 1")
    return bool(status == "succeeded")


def test_a_killed_update_leaves_both_sides_as_before_or_as_asked_for(
    killer: Killer, new_side: Callable[[], Side], note: Note
) -> None:
    side = new_side()
    side.ask(**side.big())
    points = killer.around_writes(update_products)

    for point in points:
        side = new_side()
        side.ask(**side.big())
        before, there = side.catalog.dump(), side.there
        assert killer.send(update_products, Stop(point))[0] == -9

        recover(side)
        if not has_succeeded(side):
            assert (side.catalog.dump(), side.there) == (before, there), point
        update_products(side.ledger, side.erp)
        recover(side)
        assert_updated(side)
    note(len(points), "kills of an update in Tryton")


def assert_updated(side: Side) -> None:
    """Fails unless both sides say what was asked for, and which variant is which."""
    there = side.there
    (title,) = side.catalog.values("SELECT title FROM product WHERE id = :id", id=side.product_id)
    assert title == there.title == f"Large {side.title}"
    variants = side.catalog.rows(
        """SELECT sku, external_id.external_id FROM variant
           LEFT JOIN external_id ON internal_id = variant.id AND system = 'erp'
           WHERE product_id = :id ORDER BY sku""",
        id=side.product_id,
    )
    assert variants == sorted((each.sku, each.external_id) for each in there.variants)
    assert [sku for sku, _ in variants] == [f"{side.tag}-small", f"{side.tag}-xl"]


def test_a_killed_export_leaves_one_order_in_the_end(
    killer: Killer, new_side: Callable[[], Side], note: Note
) -> None:
    new_side().place_order()
    points = killer.around_writes(export_orders)

    for point in points:
        side = new_side()
        order_id = side.place_order()
        assert killer.send(export_orders, Stop(point))[0] == -9

        recover(side)
        exported = side.world.standing(order_id)
        assert exported == side.linked(order_id), point
        export_orders(side.ledger, side.erp)
        recover(side)
        assert_exported_once(side, order_id)
        assert exported in ([], side.linked(order_id))
    note(len(points), "kills of an export to Tryton")


def assert_exported_once(side: Side, order_id: str) -> None:
    """Fails unless one order stands there, is confirmed and known here, for one customer."""
    there = side.erp.find_order(order_id)
    assert there is not None
    assert there.status in {"confirmed", "processing"}
    assert side.world.standing(order_id) == side.linked(order_id) == [there.external_id]
    mail = "contact_mechanisms.value", "=", side.email
    assert len(side.world.people.find("party.party", [*mail])) == 1
    assert len(side.world.people.find("party.address", [f"party.{mail[0]}", *mail[1:]])) == 1
