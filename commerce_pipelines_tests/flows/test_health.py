"""The asset checks: red while something waits for a person, green after, without a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows.pim_import import DOCUMENTS, PRODUCTS
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.operations import Desk
from commerce_pipelines_tests.flows.health_ground import (
    GREEN,
    RUN_ID,
    WHY,
    change,
    last,
    park,
    shown,
    tick,
)


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's store, as the environment of a run does."""
    os.environ["POSTGRES_URL"] = postgres_url
    yield
    del os.environ["POSTGRES_URL"]


def run_by_hand(instance: dg.DagsterInstance) -> None:
    """Runs all checks from the UI."""
    job = dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())
    defs = dg.Definitions.merge(build_defs(), dg.Definitions(jobs=[job]))
    assert defs.resolve_job_def("checks").execute_in_process(instance=instance).success


def test_checks_are_green_from_the_first_look_on_and_reported_once(
    instance: dg.DagsterInstance,
) -> None:
    assert tick(instance) == len(GREEN)
    assert tick(instance) == 0
    assert shown(instance) == GREEN


def test_a_parked_saga_is_red_on_both_sides_and_green_when_a_person_has_decided(
    instance: dg.DagsterInstance, engine: Engine, ledger: Ledger
) -> None:
    tick(instance)
    saga_id = park(ledger)

    assert tick(instance) == 2

    parked = {
        (asset, name): False
        for asset, name in GREEN
        if name == "no_parked_sagas" and asset not in {"store/brands", "store/orders"}
    }
    assert shown(instance) == {**GREEN, **parked}
    assert tick(instance) == 0
    Desk(engine).accept(saga_id, WHY)
    assert tick(instance) == 2
    assert shown(instance) == GREEN


def test_a_red_check_has_the_words_of_status_and_a_link_to_the_run(
    instance: dg.DagsterInstance, engine: Engine, ledger: Ledger
) -> None:
    saga_id = park(ledger)
    tick(instance)

    told = last(instance, dg.AssetCheckKey(DOCUMENTS, "no_parked_sagas"))

    (concern,) = Desk(engine).status()["parked"]
    assert told.description == concern["text"]
    assert f"sagas show {saga_id}" in concern["text"]
    assert told.severity is dg.AssetCheckSeverity.ERROR
    assert told.metadata[f"run of {saga_id}"] == dg.MetadataValue.dagster_run(RUN_ID)


def test_a_check_is_shown_again_after_an_import_that_hides_what_was_found_before(
    instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    park(ledger)
    tick(instance)
    instance.report_runless_asset_event(dg.AssetMaterialization(PRODUCTS))

    # Neither the documents nor the brands have been materialized since.
    assert tick(instance) == sum(asset == "store/products" for asset, _ in GREEN)

    assert tick(instance) == 0
    assert not shown(instance)[("store/products", "no_parked_sagas")]


@pytest.mark.parametrize("kind", ["brand_sync", "brand_push"])
def test_a_parked_saga_of_brands_is_red_on_the_brands_alone(
    instance: dg.DagsterInstance, engine: Engine, ledger: Ledger, kind: str
) -> None:
    saga_id = park(ledger, kind)

    tick(instance)

    assert shown(instance) == {**GREEN, ("store/brands", "no_parked_sagas"): False}
    Desk(engine).accept(saga_id, WHY)
    assert tick(instance) == 1
    assert shown(instance) == GREEN


def test_a_parked_saga_of_a_kind_that_nobody_knows_is_red_on_the_products(
    instance: dg.DagsterInstance, ledger: Ledger
) -> None:
    park(ledger, "something_new")

    tick(instance)

    red = {key for key, passed in shown(instance).items() if not passed}
    assert red == {
        ("store/products", "no_parked_sagas"),
        ("sanity/product_documents", "no_parked_sagas"),
    }


def test_a_step_that_was_parked_after_its_saga_had_ended_is_red(
    instance: dg.DagsterInstance, engine: Engine, ledger: Ledger
) -> None:
    saga_id = park(ledger)
    Desk(engine).accept(saga_id, WHY)
    Compensator(ledger, {}).compensate(saga_id, "sweep")
    with engine.begin() as connection:
        connection.execute(
            text("""INSERT INTO saga_step (saga_id, seq, name, label, idem_key, transactional,
                        state, plan, error, intent_epoch, settle_at)
                    VALUES (:id, 2, 'erp.order', '', 'key', false, 'parked', '{}', 'late', 1, now())
                    """),
            {"id": saga_id},
        )

    tick(instance)

    assert not shown(instance)[("store/products", "no_parked_sagas")]
    assert Desk(engine).status()["parked_count"] == 1
    (listed,) = Desk(engine).list_sagas(["parked"], 50)
    assert (listed["status"], listed["parked"]) == ("compensated", ["erp.order"])


def test_checks_can_be_run_by_hand(
    instance: dg.DagsterInstance, ledger: Ledger, engine: Engine
) -> None:
    saga_id = park(ledger)

    run_by_hand(instance)

    assert not shown(instance)[("store/products", "no_parked_sagas")]
    assert tick(instance) == 0
    # Seen by nobody but that run, and over before the sensor looks again.
    Desk(engine).accept(saga_id, WHY)
    assert tick(instance) == 2
    assert shown(instance) == GREEN


def test_an_import_does_not_run_the_checks() -> None:
    job = build_defs().resolve_job_def("pim_import")
    assert not job.asset_layer.asset_graph.asset_check_keys


def test_old_prices_are_red_until_they_are_fetched_and_without_an_erp_never(
    instance: dg.DagsterInstance, engine: Engine
) -> None:
    change(engine, "INSERT INTO asked_variant VALUES ('v', now() - interval '16 minutes')")
    change(engine, "INSERT INTO asked_variant (variant_id) VALUES ('new')")
    tick(instance)
    assert shown(instance) == GREEN
    os.environ.update({"ERP_URL": "http://erp.invalid", "ERP_API_KEY": "key"})
    try:
        tick(instance)
        assert shown(instance) == {**GREEN, ("store/price_book", "is_fresh"): False}
        told = last(instance, dg.AssetCheckKey(dg.AssetKey(["store", "price_book"]), "is_fresh"))
        assert "older than 15 minutes" in str(told.description)
        assert tick(instance) == 0
        change(engine, "UPDATE asked_variant SET asked_at = now()")
        tick(instance)
    finally:
        del os.environ["ERP_URL"], os.environ["ERP_API_KEY"]
    assert shown(instance) == GREEN
