"""The sync in Dagster: its runs, its schedule, on real Postgres and the sandbox over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.brand_sync import WHOLE, WHOLE_CONFIG, schedule
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import KIND, LOCK_KEY
from commerce_pipelines_tests.flows.brand_ground import (
    ImpatientBrands,
    configured_for,
    execute,
    failure_of,
    logged,
)
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

BRANDS = dg.AssetKey(["store", "brands"])
COUNTED = ("created", "adopted", "updated", "gone", "unchanged", "refused", "lost", "rejected")
# What a sync may write to; the budget of requests has a table of its own.
TABLES = ("brand", "foreign_brand", "brand_revision", "watermark", "saga", "saga_step", "message")
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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster with a home, which a schedule asks for; slow to make."""
    home = tmp_path_factory.mktemp("dagster")
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


@pytest.fixture
def instance(home: dg.DagsterInstance) -> dg.DagsterInstance:
    """That instance without any run."""
    home.wipe()
    return home


def test_a_run_brings_the_brands_and_shows_what_it_did(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.save("Acme")
    for name in ("Acme", "Zenith"):
        sides.there.create(name=name, description=f"{name} things")
    sides.there.create(name=" ")

    assert execute(KIND, instance).success

    shown = _shown(instance)
    assert _counts(shown) == {"created": 1, "adopted": 1, "updated": 1, "rejected": 1}
    assert shown["dagster/row_count"].value == 2
    (rejection,) = shown["rejections"].value
    assert "name" in rejection["reason"]
    assert {row.data["name"] for row in shown["preview"].records} == {"Acme", "Zenith"}
    assert shown["seconds"].value > 0
    assert sides.names_here() == ["Acme", "Zenith"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("x" * 300, "name is longer than 255 characters"), ("   ", "name is blank")],
    ids=["300 characters", "only spaces"],
)
def test_a_name_that_cannot_be_taken_is_told_until_it_is_another_one(
    sides: Sides, instance: dg.DagsterInstance, name: str, reason: str
) -> None:
    sides.there.create(name="Acme")
    _read_whole(instance)
    unusable = sides.there.create(name=name)

    told = _skipped(instance)
    _read_whole(instance)

    assert told.endswith(f"but for 1 that cannot be taken: {unusable['id']}: {reason}.")
    shown = _shown(instance)
    assert _counts(shown) == {"unchanged": 1, "rejected": 1}
    (rejection,) = shown["rejections"].value
    assert (rejection["external_id"], rejection["reason"]) == (unusable["id"], reason)
    assert sides.names_here() == ["Acme"]

    sides.there.patch(unusable["id"], name="Zenith")
    assert isinstance(_tick(instance), dg.RunRequest)
    assert execute(KIND, instance).success
    assert sides.names_here() == ["Acme", "Zenith"]
    assert _counts(_shown(instance)).get("rejected", 0) == 0
    assert _skipped(instance) == "None of the 2 brands there has changed."


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

    shown = _shown(instance)
    assert _counts(shown)["refused"] == 1
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
    assert _counts(_shown(instance)) == {}


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


def test_a_tick_starts_a_run_only_when_something_changed(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    brand = sides.there.create(name="Acme")
    _read_whole(instance)

    assert "None of the 1 brands" in _skipped(instance)
    sides.there.patch(brand["id"], name="Acme II")
    assert isinstance(_tick(instance), dg.RunRequest)
    assert execute(KIND, instance).success
    assert "None of the 1 brands" in _skipped(instance)
    sides.there.delete(brand["id"])
    assert isinstance(_tick(instance), dg.RunRequest)


def test_a_tick_with_nothing_new_is_one_request_and_writes_no_row(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    for number in range(3):
        sides.there.create(name=f"Brand {number}")
    _read_whole(instance)
    asked, before = sides.requests(), _versions(sides)

    _skipped(instance)

    assert sides.requests() == asked + 1
    assert _versions(sides) == before


def test_all_is_read_once_an_hour_without_asking_first(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    asked = sides.requests()

    first = _tick(instance)

    assert isinstance(first, dg.RunRequest)
    assert (first.run_config, first.tags) == (WHOLE_CONFIG, WHOLE)
    assert sides.requests() == asked
    _read_whole(instance)
    _skipped(instance)


def test_a_whole_run_finds_what_number_and_time_do_not_tell(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.there.create(name="Acme")
    _read_whole(instance)
    # As if it had never been noted, though it counts.
    sides.change("UPDATE foreign_brand SET name = 'Other', updated_at = '2000-01-01'")
    sides.change("UPDATE watermark SET at = now()")

    _read_whole(instance)

    assert sides.rows("SELECT name FROM foreign_brand") == [("Acme",)]


def test_a_tick_while_the_brand_system_is_away_is_red_and_starts_no_run(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    _read_whole(instance)
    sides.fault("unavailable_before", times=None)

    with pytest.raises(dg.Failure, match=r"could not be asked what changed\. Nothing is lost"):
        _tick(instance)

    sides.heal()
    _skipped(instance)


@pytest.mark.parametrize(
    ("status", "starts"),
    [(dg.DagsterRunStatus.STARTED, False), (dg.DagsterRunStatus.FAILURE, True)],
)
def test_a_tick_waits_for_a_run_that_has_just_been_started(
    sides: Sides, instance: dg.DagsterInstance, status: dg.DagsterRunStatus, starts: bool
) -> None:
    job = build_defs().resolve_job_def(KIND)
    instance.create_run_for_job(job, tags=WHOLE, status=status)
    sides.there.create(name="Acme")
    asked = sides.requests()

    told = _tick(instance)

    assert isinstance(told, dg.RunRequest) is starts
    assert (sides.requests() > asked) is starts


def test_the_setting_says_how_often_it_is_asked(sides: Sides, instance: dg.DagsterInstance) -> None:
    _read_whole(instance)
    os.environ["BRAND_SYNC_MINUTES"] = "5"
    try:
        assert "every 5 minutes" in _skipped(instance, minute=4)
        assert "None of" in _skipped(instance, minute=5)
    finally:
        del os.environ["BRAND_SYNC_MINUTES"]


def test_a_tick_without_a_brand_system_asks_nobody(instance: dg.DagsterInstance) -> None:
    del os.environ["BRANDS_URL"]

    assert "BRANDS_URL" in _skipped(instance)


def test_it_is_asked_every_minute_without_being_switched_on() -> None:
    found = build_defs().get_repository_def().get_schedule_def("brand_changes")

    assert (found.job_name, found.cron_schedule) == (KIND, "* * * * *")
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING


def _run_alone() -> bool:
    with dg.DagsterInstance.ephemeral() as instance:
        return execute(KIND, instance).success


def _read_whole(instance: dg.DagsterInstance) -> None:
    assert execute(KIND, instance, WHOLE_CONFIG, tags=WHOLE).success


def _tick(instance: dg.DagsterInstance, minute: int = 0) -> Any:
    resources = {"store": StoreResource(), "brands": ImpatientBrands()}
    with dg.build_schedule_context(
        instance=instance,
        resources=resources,
        scheduled_execution_time=datetime(2026, 1, 1, 12, minute, tzinfo=UTC),
    ) as context:
        return schedule(context)


def _skipped(instance: dg.DagsterInstance, minute: int = 0) -> str:
    told = _tick(instance, minute)
    assert isinstance(told, dg.SkipReason)
    return str(told.skip_message)


def _shown(instance: dg.DagsterInstance) -> dict[str, Any]:
    made = instance.get_latest_materialization_event(BRANDS)
    assert made
    assert made.asset_materialization
    return dict(made.asset_materialization.metadata)


def _counts(shown: dict[str, Any]) -> dict[str, int]:
    return {name: shown[name].value for name in COUNTED if shown[name].value}


def _versions(sides: Sides) -> list[tuple[Any, ...]]:
    return [
        row
        for table in TABLES
        for row in sides.rows(
            f"SELECT '{table}', xmin::text, ctid::text FROM {table} ORDER BY 2, 3"
        )
    ]
