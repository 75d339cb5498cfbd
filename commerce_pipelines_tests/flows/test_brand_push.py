"""The push in Dagster: its runs, its sensor, on real Postgres and the sandbox over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.brand_push import sensor
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_push import KIND
from commerce_pipelines_tests.flows.brand_ground import (
    ImpatientBrands,
    configured_for,
    execute,
    failure_of,
)
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides


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


def test_one_run_brings_all_brands_that_wait_and_shows_what_became_of_each(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    acme = sides.save("Acme", description="Anvils")
    assert execute(KIND, instance).success
    sides.save("Acme", description="Rockets")
    sides.save("Zenith")

    result = execute(KIND, instance)

    assert result.success
    shown = _shown(result)
    assert {name: shown[name].value for name in ("created", "updated", "lost", "unchanged")} == {
        "created": 1,
        "updated": 1,
        "lost": 0,
        "unchanged": 0,
    }
    outcomes = {row.data["brand_id"]: row.data for row in shown["preview"].records}
    assert outcomes[acme.id]["action"] == "updated"
    assert outcomes[acme.id]["external_id"] in sides.here()[0].external_ids
    assert sides.names_there() == ["Acme", "Zenith"]


def test_a_brand_that_fails_does_not_stop_the_others_and_is_undone_at_once(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    for name in ("Acme", "Borealis", "Zenith"):
        sides.save(name)
    # Applied, but told to nobody: what was created must be found and deleted.
    sides.fault("unavailable_after", times=1, route="brands", method="POST")

    result = execute(KIND, instance)

    assert not result.success
    assert failure_of(result).startswith("1 of 3 brands could not be brought")
    assert _states(sides) == {"compensated": 1, "succeeded": 2}
    assert len(sides.names_there()) == 2
    sides.make_due()
    assert execute(KIND, instance).success
    assert sides.names_there() == ["Acme", "Borealis", "Zenith"]


def test_a_brand_system_that_is_away_is_not_asked_for_every_brand(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    for number in range(10):
        sides.save(f"Brand {number}")
    sides.fault("unavailable_before", times=None)

    result = execute(KIND, instance)

    assert failure_of(result).startswith("3 of 3 brands could not be brought")
    assert sides.rows("SELECT count(*) FROM message WHERE tries = 0") == [(7,)]


def test_the_sensor_starts_one_run_when_brands_wait_and_none_when_nothing_waits(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    assert isinstance(_tick(instance), dg.SkipReason)
    sides.save("Acme")
    request = _tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key is not None
    assert request.run_key.startswith("drain:brands:")
    assert execute(KIND, instance).success
    assert isinstance(_tick(instance), dg.SkipReason)


def test_the_sensor_waits_for_a_run_that_has_just_been_started(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.save("Acme")
    job = build_defs().resolve_job_def(KIND)
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)

    assert isinstance(_tick(instance), dg.SkipReason)


def test_without_a_brand_system_brands_wait(sides: Sides, instance: dg.DagsterInstance) -> None:
    sides.save("Acme")
    del os.environ["BRANDS_API_KEY"]

    told = _tick(instance)

    assert isinstance(told, dg.SkipReason)
    assert "BRANDS_API_KEY" in str(told.skip_message)
    assert "ConfigurationError: Set BRANDS_URL" in failure_of(execute(KIND, instance))


def test_what_came_from_the_brand_system_is_not_pushed_back(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.there.create(name="Acme")
    assert execute("brand_sync", instance).success

    assert isinstance(_tick(instance), dg.SkipReason)


def test_what_a_run_left_is_undone_by_the_sweep(sides: Sides, instance: dg.DagsterInstance) -> None:
    sides.save("Acme")
    sides.fault("unavailable_before", times=None)
    # Neither the run nor its hook finds the brand system.
    assert not execute(KIND, instance).success
    sides.heal()
    sides.change("UPDATE saga SET next_try_at = now()")

    assert execute("saga_recovery", instance).success

    assert _states(sides) == {"compensated": 1}


def _tick(instance: dg.DagsterInstance) -> Any:
    resources = {"store": StoreResource(), "brands": ImpatientBrands()}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        return sensor(context)


def _shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (output,) = result.filter_events(lambda event: event.is_successful_output)
    return dict(output.step_output_data.metadata)


def _states(sides: Sides) -> dict[str, int]:
    rows = sides.rows("SELECT status, count(*) FROM saga GROUP BY status")
    return {str(status): int(number) for status, number in rows}
