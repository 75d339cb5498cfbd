"""The flow in Dagster: one job in this process, on real Postgres and the sandbox over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import requests
from sqlalchemy import Engine, text

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.pim_import import messages_sensor
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.pim_import import deliver

LAMP = {"title": "Lamp", "sku": "LAMP-1", "description": "Warm light"}
JOB_CONFIG = ("ops", "import_pages", "ops", "open_pages", "config")


@pytest.fixture(autouse=True)
def configured(postgres_url: str, sandbox: RunningSandbox) -> Iterator[None]:
    """Points the resources at this test's systems, as the environment of a run does."""
    sanity = sandbox.addresses["sanity"]
    wanted = {
        "POSTGRES_URL": postgres_url,
        "SANITY_URL": sanity["url"],
        "SANITY_PROJECT_ID": sanity["project_id"],
        "SANITY_DATASET": sanity["dataset"],
        "SANITY_SECRET_TOKEN": sanity["token"],
        "SANITY_PATIENCE_SECONDS": "0",
    }
    os.environ.update(wanted)
    yield
    for name in wanted:
        del os.environ[name]


def test_products_typed_into_the_launchpad_are_imported(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    result = _import(instance, [LAMP])

    assert result.success
    assert _column(engine, "SELECT title FROM product") == ["Lamp"]
    assert _column(engine, "SELECT status FROM saga") == ["succeeded"]


def test_materializations_show_counts_rejections_and_a_preview(
    instance: dg.DagsterInstance,
) -> None:
    result = _import(instance, [LAMP, {"title": ""}])

    shown = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    products, documents = shown["store/products"], shown["sanity/product_documents"]
    counts = {name: products[name].value for name in ("created", "updated", "skipped")}
    assert counts == {"created": 1, "updated": 0, "skipped": 1}
    assert products["dagster/row_count"].value == 1
    assert products["rejections"].value[0]["field"] == "title"  # type: ignore[index, call-overload]
    preview = products["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    assert [record.data["handle"] for record in preview.records] == ["lamp"]
    assert documents["written"].value == 1


def test_the_hook_undoes_a_failed_import_at_once(
    engine: Engine, instance: dg.DagsterInstance, sandbox: RunningSandbox
) -> None:
    # Applied, but told to nobody: what was created must be found and deleted.
    _fault(sandbox, kind="unavailable_after", times=1)

    result = _import(instance, [LAMP])

    assert not result.success
    assert _column(engine, "SELECT status FROM saga") == ["compensated"]
    assert _column(engine, "SELECT state FROM saga_step ORDER BY seq") == ["undone", "undone"]
    assert _column(engine, "SELECT count(*) FROM product") == [0]
    assert _documents(sandbox) == []


def test_a_rolled_back_run_cannot_be_continued(
    instance: dg.DagsterInstance, sandbox: RunningSandbox
) -> None:
    _fault(sandbox, kind="unavailable_before", times=1)
    failed = _import(instance, [LAMP])
    job = build_defs().resolve_job_def("pim_import")

    options = dg.ReexecutionOptions.from_failure(failed.run_id, instance)
    with dg.execute_job(
        dg.reconstructable(_job), instance, reexecution_options=options, raise_on_error=False
    ) as again:
        failures = [event for event in again.all_events if event.is_step_failure]

    assert job.name == "pim_import"
    assert any("Start a new run" in str(event.event_specific_data) for event in failures)


def test_the_sensor_starts_one_run_when_products_wait_and_none_when_nothing_waits(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    assert isinstance(_tick(instance), dg.SkipReason)
    with engine.begin() as connection:
        deliver(connection, "pim", "one", [LAMP])
    request = _tick(instance)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key is not None
    assert request.run_key.startswith("drain:products:")
    assert _import(instance, []).success
    assert isinstance(_tick(instance), dg.SkipReason)


def test_one_run_takes_all_messages_that_wait(engine: Engine, instance: dg.DagsterInstance) -> None:
    with engine.begin() as connection:
        for number in range(20):
            deliver(connection, "pim", f"m{number}", [{**LAMP, "title": f"Lamp {number % 5}"}])

    # One SKU on five titles: the first keeps it.
    assert _import(instance, []).success
    assert _column(engine, "SELECT DISTINCT state FROM message") == ["done"]
    assert _column(engine, "SELECT count(*) FROM saga") == [1]


def _job() -> dg.JobDefinition:
    return build_defs().resolve_job_def("pim_import")


def _import(
    instance: dg.DagsterInstance, products: list[dict[str, Any]]
) -> dg.ExecuteInProcessResult:
    config: dict[str, Any] = {"products": products}
    for name in reversed(JOB_CONFIG):
        config = {name: config}
    return _job().execute_in_process(instance=instance, raise_on_error=False, run_config=config)


def _tick(instance: dg.DagsterInstance) -> Any:
    with dg.build_sensor_context(
        instance=instance, resources={"store": StoreResource()}
    ) as context:
        return messages_sensor(context)


def _fault(sandbox: RunningSandbox, **fault: Any) -> None:
    url = sandbox.addresses["faults"]["url"]
    script = {"system": "sanity", "route": "mutate", **fault}
    requests.post(url, json=script, timeout=10).raise_for_status()


def _documents(sandbox: RunningSandbox) -> list[Any]:
    sanity = sandbox.addresses["sanity"]
    answer = requests.get(
        f"{sanity['url']}/v2025-02-19/data/query/{sanity['dataset']}",
        params={"query": '*[_type == "product"]'},
        headers={"Authorization": f"Bearer {sanity['token']}"},
        timeout=10,
    )
    return list(answer.json()["result"])


def _column(engine: Engine, question: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(question)).scalars())
