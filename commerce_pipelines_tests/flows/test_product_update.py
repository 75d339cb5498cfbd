"""`product_update` under Dagster, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from commerce_pipelines.errors import Refused, Unknown
from commerce_pipelines.flows.product_update import sensor
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.product_update import KIND
from commerce_pipelines_tests.flows.erp_ground import ErpByHand, configured_for, execute, failure_of
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.update_ground import Ground


@pytest.fixture
def ground(postgres_url: str, ledger: Ledger) -> Iterator[Ground]:
    """A product that can be changed."""
    ground = Ground(ledger)
    with configured_for(postgres_url, ground.erp):
        yield ground


def test_a_run_makes_all_changes_that_wait(ground: Ground, instance: dg.DagsterInstance) -> None:
    ground.ask(title="First")
    ground.ask(description="Second")

    result = execute(KIND, instance)

    assert result.success
    assert (ground.there.title, ground.there.description) == ("First", "Second")
    (output,) = (
        event.step_output_data
        for event in result.filter_events(lambda event: event.is_successful_output)
        if event.step_key == "update_products"
    )
    assert output.metadata["updated"].value == 2


def test_a_change_is_typed_into_the_launchpad(ground: Ground, instance: dg.DagsterInstance) -> None:
    wish: dict[str, Any] = {"product_id": ground.product_id, "changes": {"title": "Cup"}}

    assert execute(KIND, instance, {"receive_change": wish}).success
    assert ground.there.title == "Cup"

    wish["changes"] = {"titel": "Pot"}
    told = failure_of(execute(KIND, instance, {"receive_change": wish}))
    assert told.startswith("InvalidInput: changes.titel: ")


def test_a_change_that_is_refused_is_undone_and_does_not_stop_the_others(
    ground: Ground, instance: dg.DagsterInstance
) -> None:
    ground.erp.script("write_product", failing(Refused("too long")))
    ground.ask(title="First")
    ground.ask(description="Second")

    told = failure_of(execute(KIND, instance))

    assert told.startswith("1 of 2 changes could not be made")
    assert "Refused: too long" in told
    assert (ground.there.title, ground.there.description) == ("MUG", "Second")
    assert ground.catalog.rows("SELECT title, description FROM product") == [("Mug", "Second")]
    assert ground.catalog.values(
        "SELECT status FROM saga WHERE kind = 'product_update' ORDER BY created_at"
    ) == ["compensated", "succeeded"]


def test_a_change_whose_answer_is_lost_is_undone_in_the_erp_at_once(
    ground: Ground, instance: dg.DagsterInstance
) -> None:
    ground.erp.after_write.append(failing(Unknown("lost")))
    ground.ask(title="First")

    assert not execute(KIND, instance).success

    assert ground.there.title == "MUG"
    assert ground.catalog.values("SELECT title FROM product") == ["Mug"]


def test_the_sensor_starts_a_run_when_changes_wait_and_none_when_none_do(
    ground: Ground, instance: dg.DagsterInstance
) -> None:
    assert isinstance(_tick(instance), dg.SkipReason)
    ground.ask(title="Cup")
    request = _tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert (request.run_key or "").startswith("drain:product_updates:")
    del os.environ["ERP_API_KEY"]
    assert isinstance(_tick(instance), dg.SkipReason)


def _tick(instance: dg.DagsterInstance) -> Any:
    resources = {"store": StoreResource(), "erp": ErpByHand()}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        return sensor(context)
