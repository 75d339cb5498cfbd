"""The asset checks: red while something waits for a person, green after, without a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.domain.brands import WantedBrand
from commerce_pipelines.flows import health
from commerce_pipelines.flows.brand_sync import BRANDS
from commerce_pipelines.flows.pim_import import DOCUMENTS, PRODUCTS
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, TransactionalStep, Undo
from commerce_pipelines.services import areas
from commerce_pipelines.services.brand_push import create_brand
from commerce_pipelines.services.operations import Desk
from commerce_pipelines.services.pim_import import deliver

WHY = Decision("nora", "done by hand")
RUN_ID = "0c1e1b9e-2f0c-4f0e-9a53-5a4f2d3c9f11"
GREEN = dict.fromkeys(
    [
        ("store/products", "no_parked_sagas"),
        ("sanity/product_documents", "no_parked_sagas"),
        ("store/products", "no_dead_messages"),
        ("store/products", "no_refused_messages"),
        ("store/products", "inbox_is_drained"),
        ("store/brands", "no_parked_sagas"),
        ("store/brands", "no_dead_messages"),
        ("store/brands", "no_refused_messages"),
        ("store/brands", "inbox_is_drained"),
        ("store/price_book", "no_dead_messages"),
        ("store/price_book", "no_refused_messages"),
        ("store/price_book", "inbox_is_drained"),
        ("store/price_book", "is_fresh"),
        ("store/orders", "no_parked_sagas"),
        ("store/orders", "no_dead_messages"),
        ("store/orders", "no_refused_messages"),
        ("store/orders", "inbox_is_drained"),
    ],
    True,
)


class Noted(TransactionalStep):
    """A step that no undo is known for."""

    name = "store.noted"

    def act(self, connection: Any, saga_id: str, plan: JSON) -> JSON:
        """Does nothing."""
        return {}

    def undo(self, connection: Any, saga_id: str, plan: JSON, result: JSON) -> Undo:
        """Does nothing."""
        return Undo()


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's store, as the environment of a run does."""
    os.environ["POSTGRES_URL"] = postgres_url
    yield
    del os.environ["POSTGRES_URL"]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster without a home."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def park(ledger: Ledger, kind: str = "pim_import") -> str:
    """Parks a saga of a run."""
    with ledger.engine.begin() as connection:
        claim = ledger.begin(connection, saga_id="saga-1", kind=kind, lock_key="x", run_id=RUN_ID)
    with Saga.kept_alive(ledger, claim) as saga:
        saga.take(Noted(), {})
        saga.abort("boom")
    Compensator(ledger, {}).compensate("saga-1", "sweep")
    return "saga-1"


def kill_message(engine: Engine) -> None:
    """Gives a message up."""
    with engine.begin() as connection:
        deliver(connection, "pim", "w1", [{"title": "Mug"}])
        connection.execute(
            text("UPDATE message SET state = 'dead', tries = 10, last_error = 'bad'")
        )


def leave_brand(engine: Engine) -> None:
    """Leaves a message about a brand."""
    with engine.begin() as connection:
        create_brand(connection, WantedBrand(name="Acme"))


def change(engine: Engine, statement: str) -> None:
    """Changes rows."""
    with engine.begin() as connection:
        connection.execute(text(statement))


def tick(instance: dg.DagsterInstance) -> int:
    """Lets the sensor look once, as the daemon does; returns how many checks it reported."""
    with dg.build_sensor_context(
        instance=instance, resources={"store": StoreResource()}
    ) as context:
        result = health.sensor(context)
    if isinstance(result, dg.SkipReason):
        return 0
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    for event in result.asset_events:
        instance.report_runless_asset_event(event)
    return len(result.asset_events)


def shown(instance: dg.DagsterInstance) -> dict[tuple[str, str], bool]:
    """Returns which checks pass, as the catalogue shows it."""
    return {
        (key.asset_key.to_user_string(), key.name): _last(instance, key).passed
        for key in (check.key for check in health.CHECKS)
    }


def _last(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation:
    record = instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.evaluation is not None
    return record.evaluation


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

    told = _last(instance, dg.AssetCheckKey(DOCUMENTS, "no_parked_sagas"))

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


def test_a_dead_message_is_red_until_it_is_replayed(
    instance: dg.DagsterInstance, engine: Engine
) -> None:
    kill_message(engine)
    tick(instance)
    assert shown(instance) == {**GREEN, ("store/products", "no_dead_messages"): False}
    (dead,) = Desk(engine).status()["dead"]
    key = dg.AssetCheckKey(PRODUCTS, "no_dead_messages")
    assert _last(instance, key).description == dead["text"]

    Desk(engine).replay([dead["message_id"]], WHY.who, WHY.reason)
    tick(instance)

    assert shown(instance) == GREEN


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


def test_a_dead_message_about_a_brand_is_red_on_the_brands_alone(
    instance: dg.DagsterInstance, engine: Engine
) -> None:
    leave_brand(engine)
    change(engine, "UPDATE message SET state = 'dead', tries = 10, last_error = 'bad'")

    tick(instance)

    assert shown(instance) == {**GREEN, ("store/brands", "no_dead_messages"): False}
    assert Desk(engine).status()["dead_count"] == 1


def test_brands_that_wait_for_long_warn_where_there_is_a_brand_system(
    instance: dg.DagsterInstance, engine: Engine
) -> None:
    leave_brand(engine)
    change(engine, "UPDATE message SET received_at = now() - interval '11 minutes'")
    tick(instance)
    assert shown(instance) == GREEN
    assert Desk(engine).status()["backlog"] == []

    os.environ.update({"BRANDS_URL": "http://127.0.0.1:1", "BRANDS_API_KEY": "key"})
    try:
        tick(instance)
    finally:
        del os.environ["BRANDS_URL"], os.environ["BRANDS_API_KEY"]

    assert shown(instance) == {**GREEN, ("store/brands", "inbox_is_drained"): False}
    told = _last(instance, dg.AssetCheckKey(BRANDS, "inbox_is_drained"))
    assert told.severity is dg.AssetCheckSeverity.WARN
    (concern,) = Desk(engine, areas=(areas.PRODUCTS, areas.BRANDS)).status()["backlog"]
    assert told.description == concern["text"]
    assert "sensor brand_messages" in concern["text"]


def test_documents_that_wait_for_long_warn_on_the_products(
    instance: dg.DagsterInstance, engine: Engine
) -> None:
    leave_brand(engine)
    change(
        engine,
        """UPDATE message SET received_at = now() - interval '11 minutes', topic = 'documents'""",
    )

    tick(instance)

    assert shown(instance) == {**GREEN, ("store/products", "inbox_is_drained"): False}


@pytest.mark.parametrize(
    "waiting",
    [
        "UPDATE message SET received_at = now() - interval '11 minutes'",
        """INSERT INTO message (source, webhook_id, topic, body_sha256)
           SELECT 'pim', 'n' || n, 'products', '' FROM generate_series(1, 10000) AS n""",
    ],
)
def test_a_full_inbox_warns(instance: dg.DagsterInstance, engine: Engine, waiting: str) -> None:
    with engine.begin() as connection:
        deliver(connection, "pim", "w1", [{"title": "Mug"}])
    tick(instance)
    assert shown(instance) == GREEN
    with engine.begin() as connection:
        connection.execute(text(waiting))

    tick(instance)

    assert shown(instance) == {**GREEN, ("store/products", "inbox_is_drained"): False}
    told = _last(instance, dg.AssetCheckKey(PRODUCTS, "inbox_is_drained"))
    assert told.severity is dg.AssetCheckSeverity.WARN
    assert tick(instance) == 0


def test_what_a_parked_saga_holds_does_not_count_as_waiting(
    instance: dg.DagsterInstance, engine: Engine, ledger: Ledger
) -> None:
    park(ledger)
    with engine.begin() as connection:
        deliver(connection, "pim", "w1", [{"title": "Mug"}])
        connection.execute(
            text("""UPDATE message SET state = 'claimed', saga_id = 'saga-1',
                    received_at = now() - interval '1 day'""")
        )

    tick(instance)

    assert shown(instance)[("store/products", "inbox_is_drained")]


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
        told = _last(instance, dg.AssetCheckKey(dg.AssetKey(["store", "price_book"]), "is_fresh"))
        assert "older than 15 minutes" in str(told.description)
        assert tick(instance) == 0
        change(engine, "UPDATE asked_variant SET asked_at = now()")
        tick(instance)
    finally:
        del os.environ["ERP_URL"], os.environ["ERP_API_KEY"]
    assert shown(instance) == GREEN
