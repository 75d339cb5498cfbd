"""What waits for a person, and the sensor that looks for it, under Dagster in this process."""

from __future__ import annotations

from typing import Any

import dagster as dg
from sqlalchemy import Engine, text

from commerce_pipelines.flows import health
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.saga.step import JSON, TransactionalStep, Undo

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


def park(ledger: Ledger, kind: str = "pim_import") -> str:
    """Parks a saga of a run."""
    with ledger.engine.begin() as connection:
        claim = ledger.begin(connection, saga_id="saga-1", kind=kind, lock_key="x", run_id=RUN_ID)
    with Saga.kept_alive(ledger, claim) as saga:
        saga.take(Noted(), {})
        saga.abort("boom")
    Compensator(ledger, {}).compensate("saga-1", "sweep")
    return "saga-1"


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
        (key.asset_key.to_user_string(), key.name): last(instance, key).passed
        for key in (check.key for check in health.CHECKS)
    }


def last(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation:
    """Returns what a check has said last."""
    record = instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.evaluation is not None
    return record.evaluation
