"""The sync's schedule: when it starts a run, and what it asks and writes when it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.brand_sync import WHOLE, WHOLE_CONFIG
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import KIND
from commerce_pipelines_tests.flows.brand_ground import configured_for, execute
from commerce_pipelines_tests.flows.brand_syncs import counts, read_whole, shown_by, skipped, tick
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

# What a sync may write to; the budget of requests has a table of its own.
TABLES = ("brand", "foreign_brand", "brand_revision", "watermark", "saga", "saga_step", "message")


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


@pytest.mark.parametrize(
    ("name", "reason"),
    [("x" * 300, "name is longer than 255 characters"), ("   ", "name is blank")],
    ids=["300 characters", "only spaces"],
)
def test_a_name_that_cannot_be_taken_is_told_until_it_is_another_one(
    sides: Sides, instance: dg.DagsterInstance, name: str, reason: str
) -> None:
    sides.there.create(name="Acme")
    read_whole(instance)
    unusable = sides.there.create(name=name)

    told = skipped(instance)
    read_whole(instance)

    assert told.endswith(f"but for 1 that cannot be taken: {unusable['id']}: {reason}.")
    shown = shown_by(instance)
    assert counts(shown) == {"unchanged": 1, "rejected": 1}
    (rejection,) = shown["rejections"].value
    assert (rejection["external_id"], rejection["reason"]) == (unusable["id"], reason)
    assert sides.names_here() == ["Acme"]

    sides.there.patch(unusable["id"], name="Zenith")
    assert isinstance(tick(instance), dg.RunRequest)
    assert execute(KIND, instance).success
    assert sides.names_here() == ["Acme", "Zenith"]
    assert counts(shown_by(instance)).get("rejected", 0) == 0
    assert skipped(instance) == "None of the 2 brands there has changed."


def test_a_tick_starts_a_run_only_when_something_changed(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    brand = sides.there.create(name="Acme")
    read_whole(instance)

    assert "None of the 1 brands" in skipped(instance)
    sides.there.patch(brand["id"], name="Acme II")
    assert isinstance(tick(instance), dg.RunRequest)
    assert execute(KIND, instance).success
    assert "None of the 1 brands" in skipped(instance)
    sides.there.delete(brand["id"])
    assert isinstance(tick(instance), dg.RunRequest)


def test_a_tick_with_nothing_new_is_one_request_and_writes_no_row(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    for number in range(3):
        sides.there.create(name=f"Brand {number}")
    read_whole(instance)
    asked, before = sides.requests(), _versions(sides)

    skipped(instance)

    assert sides.requests() == asked + 1
    assert _versions(sides) == before


def test_all_is_read_once_an_hour_without_asking_first(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    asked = sides.requests()

    first = tick(instance)

    assert isinstance(first, dg.RunRequest)
    assert (first.run_config, first.tags) == (WHOLE_CONFIG, WHOLE)
    assert sides.requests() == asked
    read_whole(instance)
    skipped(instance)


def test_a_whole_run_finds_what_number_and_time_do_not_tell(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.there.create(name="Acme")
    read_whole(instance)
    # As if it had never been noted, though it counts.
    sides.change("UPDATE foreign_brand SET name = 'Other', updated_at = '2000-01-01'")
    sides.change("UPDATE watermark SET at = now()")

    read_whole(instance)

    assert sides.rows("SELECT name FROM foreign_brand") == [("Acme",)]


def test_a_tick_while_the_brand_system_is_away_is_red_and_starts_no_run(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    read_whole(instance)
    sides.fault("unavailable_before", times=None)

    with pytest.raises(dg.Failure, match=r"could not be asked what changed\. Nothing is lost"):
        tick(instance)

    sides.heal()
    skipped(instance)


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

    told = tick(instance)

    assert isinstance(told, dg.RunRequest) is starts
    assert (sides.requests() > asked) is starts


def test_the_setting_says_how_often_it_is_asked(sides: Sides, instance: dg.DagsterInstance) -> None:
    read_whole(instance)
    os.environ["BRAND_SYNC_MINUTES"] = "5"
    try:
        assert "every 5 minutes" in skipped(instance, minute=4)
        assert "None of" in skipped(instance, minute=5)
    finally:
        del os.environ["BRAND_SYNC_MINUTES"]


def test_a_tick_without_a_brand_system_asks_nobody(instance: dg.DagsterInstance) -> None:
    del os.environ["BRANDS_URL"]

    assert "BRANDS_URL" in skipped(instance)


def test_it_is_asked_every_minute_without_being_switched_on() -> None:
    found = build_defs().get_repository_def().get_schedule_def("brand_changes")

    assert (found.job_name, found.cron_schedule) == (KIND, "* * * * *")
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING


def _versions(sides: Sides) -> list[tuple[Any, ...]]:
    return [
        row
        for table in TABLES
        for row in sides.rows(
            f"SELECT '{table}', xmin::text, ctid::text FROM {table} ORDER BY 2, 3"
        )
    ]
