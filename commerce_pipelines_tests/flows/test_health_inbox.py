"""The asset checks of the inbox: dead messages, and messages that wait for long."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.domain.brands import WantedBrand
from commerce_pipelines.flows.brand_sync import BRANDS
from commerce_pipelines.flows.pim_import import PRODUCTS
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services import areas
from commerce_pipelines.services.brand_push import create_brand
from commerce_pipelines.services.operations import Desk
from commerce_pipelines.services.pim_import import deliver
from commerce_pipelines_tests.flows.health_ground import GREEN, WHY, change, last, park, shown, tick


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's store, as the environment of a run does."""
    os.environ["POSTGRES_URL"] = postgres_url
    yield
    del os.environ["POSTGRES_URL"]


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


def test_a_dead_message_is_red_until_it_is_replayed(
    instance: dg.DagsterInstance, engine: Engine
) -> None:
    kill_message(engine)
    tick(instance)
    assert shown(instance) == {**GREEN, ("store/products", "no_dead_messages"): False}
    (dead,) = Desk(engine).status()["dead"]
    key = dg.AssetCheckKey(PRODUCTS, "no_dead_messages")
    assert last(instance, key).description == dead["text"]

    Desk(engine).replay([dead["message_id"]], WHY.who, WHY.reason)
    tick(instance)

    assert shown(instance) == GREEN


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
    told = last(instance, dg.AssetCheckKey(BRANDS, "inbox_is_drained"))
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
    told = last(instance, dg.AssetCheckKey(PRODUCTS, "inbox_is_drained"))
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
