"""The ERP's flows over HTTP: the adapter `rest` on the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines_tests.connectors.erp_sandbox import SandboxWorld, open_sandbox_erp
from commerce_pipelines_tests.services.erp_side import Side


@pytest.fixture
def side(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Side]:
    """The store and the sandbox."""
    erp = open_sandbox_erp(sandbox.addresses, patience_seconds=0.0)
    yield Side(ledger, erp, SandboxWorld(sandbox.addresses, erp))
    erp.close()


def test_an_update_and_the_next_sync_agree(side: Side) -> None:
    side.update(**side.big())

    assert [each.sku for each in side.there.details.variants] == [
        f"small-{side.tag}",
        f"xl-{side.tag}",
    ]
    assert side.there.details.description == "New"
    synced = side.sync()
    assert (synced.counts["updated"], synced.counts["created"]) == (0, 0)
    linked = side.catalog.rows(
        """SELECT sku, external_id.external_id FROM variant
           JOIN external_id ON internal_id = variant.id
           WHERE product_id = :id ORDER BY sku""",
        id=side.product_id,
    )
    there = [(each.sku, each.external_id) for each in side.there.details.variants]
    assert linked == there


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "unavailable_before", "times": 3},
        {"kind": "unavailable_after", "times": 3},
        {"kind": "lost_answer", "times": 3},
        {"kind": "late", "times": 1, "seconds": 0.3},
    ],
    ids=lambda fault: fault["kind"],
)
def test_an_update_without_an_answer_leaves_both_sides_as_before(
    side: Side, fault: dict[str, Any]
) -> None:
    before, there = side.catalog.dump(), side.there.details
    side.world.fault(**fault, method="PUT")

    with pytest.raises(CommerceError):
        side.update(**side.big())
    side.world.ask("DELETE", "")

    assert side.recover() == {"compensated": 1}
    assert side.catalog.dump() == before
    assert (side.there.details.title, side.there.details.description) == (
        there.title,
        there.description,
    )
    assert set(side.there.details.variants) == set(there.variants)


def test_a_change_that_is_committed_late_is_not_missed(side: Side) -> None:
    side.world.ask(
        "PUT",
        f"/erp/products/{side.erp_id}",
        {"title": "Committed late", "commit_after_seconds": 0.5},
    )
    other = side.world.add_product("Seen at once", ["once"])
    assert side.sync().counts["created"] == 1
    side.catalog.execute("SELECT pg_sleep(0.8)")

    assert side.sync().counts["updated"] == 1

    assert "Committed late" in side.catalog.values("SELECT title FROM product")
    assert other


def test_rows_that_shift_while_they_are_read_are_all_read(side: Side) -> None:
    for number in range(20):
        side.world.add_product(f"Cup {number}", [f"cup-{number}"])
    side.world.fault("shifting_rows", times=5)

    side.sync()

    assert side.catalog.values("SELECT count(*) FROM product WHERE title LIKE 'Cup %'") == [20]
