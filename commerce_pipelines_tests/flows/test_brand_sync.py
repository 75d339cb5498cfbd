"""The sync in Dagster: its runs, on real Postgres and the sandbox over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import KIND, LOCK_KEY
from commerce_pipelines_tests.flows.brand_ground import configured_for, execute, failure_of, logged
from commerce_pipelines_tests.flows.brand_syncs import BRANDS, counts, shown_by
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

BREAK_UPDATES = "ALTER TABLE brand ADD CONSTRAINT no_mug CHECK (name <> 'Mug')"


@pytest.fixture(autouse=True)
def configured(postgres_url: str, sandbox: RunningSandbox) -> Iterator[None]:
    """Points the resources at this test's systems."""
    with configured_for(postgres_url, sandbox.addresses):
        yield


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


def test_a_run_brings_the_brands_and_shows_what_it_did(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.save("Acme")
    for name in ("Acme", "Zenith"):
        sides.there.create(name=name, description=f"{name} things")
    sides.there.create(name=" ")

    assert execute(KIND, instance).success

    shown = shown_by(instance)
    assert counts(shown) == {"created": 1, "adopted": 1, "updated": 1, "rejected": 1}
    assert shown["dagster/row_count"].value == 2
    (rejection,) = shown["rejections"].value
    assert "name" in rejection["reason"]
    assert {row.data["name"] for row in shown["preview"].records} == {"Acme", "Zenith"}
    assert shown["seconds"].value > 0
    assert sides.names_here() == ["Acme", "Zenith"]


def test_the_lineage_leads_from_the_brand_system_to_the_store() -> None:
    graph = build_defs().resolve_asset_graph()
    asset = graph.get(BRANDS)
    assert asset.parent_keys == {dg.AssetKey(["brands", "brands"])}
    assert asset.owners == ["team:commerce"]
    lineage = asset.metadata["dagster/column_lineage"]
    assert isinstance(lineage, dg.TableColumnLineage)
    assert set(lineage.deps_by_column) == {"name", "description", "logo_url"}


def test_what_was_refused_is_shown_with_its_reason(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    first = sides.there.create(name="Acme")
    sides.there.create(name="Zenith")
    assert execute(KIND, instance).success
    sides.save("Borealis")
    sides.there.patch(first["id"], name="Borealis")

    assert execute(KIND, instance).success

    shown = shown_by(instance)
    assert counts(shown)["refused"] == 1
    (left,) = shown["left"].value
    assert "belongs to another brand" in left["note"]


def test_a_run_with_nothing_to_do_is_green_and_says_so(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.there.create(name="Acme")
    assert execute(KIND, instance).success

    again = execute(KIND, instance)

    assert again.success
    assert any(line.startswith("nothing to do") for line in logged(instance, again))
    assert counts(shown_by(instance)) == {}


def test_a_run_beside_another_sync_is_green_and_leaves_it_to_that(
    sides: Sides, instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    sides.there.create(name="Acme")
    with ledger.engine.begin() as connection:
        ledger.begin(
            connection, saga_id="other", kind=KIND, lock_key=LOCK_KEY, run_id="another run"
        )

    result = execute(KIND, instance)

    assert result.success
    assert any("another sync is at work" in line for line in logged(instance, result))
    assert sides.names_here() == []
    assert not result.get_asset_materialization_events()


def test_runs_at_once_bring_each_brand_once(sides: Sides) -> None:
    for number in range(20):
        sides.there.create(name=f"Brand {number:02}")

    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(_run_alone) for _ in range(2)]

    assert [run.result() for run in runs] == [True, True]
    assert len(sides.here()) == 20
    assert {brand.version for brand in sides.here()} == {1}


def test_the_hook_undoes_the_new_brands_when_the_update_fails(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    old = sides.there.create(name="Cup")
    assert execute(KIND, instance).success
    before = [brand.model_dump(exclude={"updated_at"}) for brand in sides.here()]
    sides.there.create(name="Plate")
    sides.there.patch(old["id"], name="Mug")
    sides.change(BREAK_UPDATES)

    failed = execute(KIND, instance)

    assert not failed.success
    assert [brand.model_dump(exclude={"updated_at"}) for brand in sides.here()] == before
    assert sides.rows("SELECT status FROM saga ORDER BY created_at") == [
        ("succeeded",),
        ("compensated",),
    ]
    sides.change("ALTER TABLE brand DROP CONSTRAINT no_mug")
    assert execute(KIND, instance).success
    assert sides.names_here() == ["Mug", "Plate"]


def test_a_brand_system_that_is_away_fails_a_run_with_a_sentence(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.fault("unavailable_before", times=None)

    result = execute(KIND, instance)

    assert not result.success
    assert failure_of(result).startswith("Unavailable: ")
    assert sides.rows("SELECT count(*) FROM saga") == [(0,)]


def _run_alone() -> bool:
    with dg.DagsterInstance.ephemeral() as instance:
        return execute(KIND, instance).success
