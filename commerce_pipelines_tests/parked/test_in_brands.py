"""Every way in which the undo of a brand step parks a saga, and a person who finishes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.on_demand import on_demand
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.errors import CommerceError, ConfigurationError
from commerce_pipelines.saga.compensation import MOST_TRIES, Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services import brand_push, brand_sync
from commerce_pipelines.services.brand_push import BrandPush
from commerce_pipelines.services.brand_steps import (
    CreateForeignBrand,
    UpdateForeignBrand,
    as_result,
)
from commerce_pipelines.services.brand_sync import BrandSync
from commerce_pipelines.store.brands import load_brand, load_link
from commerce_pipelines_tests.parked.person import Person
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

PRODUCT = """
    INSERT INTO product (id, title, handle, status, brand_id)
    SELECT 'prod_1', 'Mug', 'mug', 'draft', id FROM brand WHERE name = 'Zenith'"""
FREE = "UPDATE product SET brand_id = NULL"


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


@pytest.fixture
def in_use(sides: Sides) -> str:
    """A sync that created two brands, one of which a product has by now, and then failed."""
    for name in ("Acme", "Zenith"):
        sides.there.create(name=name)
    flow = BrandSync(sides.ledger, sides.brand_system, "run")
    retrieved = flow.retrieve()
    saga_id = flow.decide(retrieved).saga_id
    assert saga_id
    flow.create(saga_id, retrieved)
    sides.change(PRODUCT)
    assert sides.recover() == {"parked": 1}
    return saga_id


def test_a_new_brand_with_products_is_deleted_once_they_have_another(
    sides: Sides, in_use: str, person: Person
) -> None:
    printed = person.read(in_use)
    assert "Give the products that have the new brands another one" in printed["advice"]
    shown = {each["now"]["name"]: each["undo"] for each in printed["steps"][0]["brands"]}
    assert shown == {"Acme": "delete", "Zenith": "in_use"}

    person.run_sql(FREE)
    person.decide(printed, "retry")

    _assert_compensated(sides, [])


def test_the_sql_printed_deletes_the_new_brands(sides: Sides, in_use: str, person: Person) -> None:
    person.run_sql(FREE)
    printed = person.read(in_use)

    person.send(printed)
    person.decide(printed, "resolve")

    _assert_compensated(sides, [])
    assert sides.rows("SELECT count(*) FROM foreign_brand") == [(0,)]


def test_a_new_brand_with_products_can_be_left(sides: Sides, in_use: str, person: Person) -> None:
    printed = person.read(in_use)
    (leave,) = (each for each in printed["steps"][0]["requests"] if each.get("optional"))
    (kept,) = (each for each in printed["steps"][0]["brands"] if each["undo"] == "in_use")

    person.run_sql(leave["sql"].replace("BRAND_ID", kept["id"]))
    person.decide(printed, "retry")

    _assert_compensated(sides, ["Zenith"])


def test_accepted_brands_stay(sides: Sides, in_use: str, person: Person) -> None:
    person.decide(person.read(in_use), "accept")

    _assert_compensated(sides, ["Acme", "Zenith"])


@pytest.mark.parametrize("first", [True, False])
def test_the_sql_printed_restores_what_a_sync_changed(
    sides: Sides, person: Person, first: bool
) -> None:
    brand = sides.there.create(name="Acme", description="Anvils")
    sides.sync()
    if first:
        sides.change("DELETE FROM watermark")
    watermark = sides.rows("SELECT * FROM watermark")
    sides.there.patch(brand["id"], name="Acme II", description="Rockets")
    flow = BrandSync(sides.ledger, sides.brand_system, "run")
    retrieved = flow.retrieve()
    saga_id = flow.decide(retrieved).saga_id
    assert saga_id
    flow.create(saga_id, retrieved)
    with Saga.joined(sides.ledger, saga_id, "run") as saga:
        saga.take(brand_sync.UpdateBrands(retrieved), {"brands": 1})
    park(sides, saga_id, Compensator(sides.ledger, {brand_sync.KIND: {}}))
    printed = person.read(saga_id)
    (shown,) = printed["steps"][1]["brands"]
    assert (shown["before"]["name"], shown["now"]["name"]) == ("Acme", "Acme II")
    assert shown["undo"] == "restore"

    person.send(printed)
    person.decide(printed, "resolve")

    _assert_compensated(sides, ["Acme"])
    assert sides.rows("SELECT * FROM watermark") == watermark
    assert sides.sync()["updated"] == 1
    assert sides.names_here() == ["Acme II"]


@pytest.mark.parametrize("renamed", [False, True])
def test_what_was_pushed_is_taken_back_by_the_request_printed(
    sides: Sides, person: Person, renamed: bool
) -> None:
    brand = sides.save("Acme", description="Anvils")
    if renamed:
        sides.push()
        sides.rename(brand.id, "Acme II")
    saga_id = _push_and_lose_the_key(sides, brand.id)
    printed = person.read(saga_id)
    assert "BRANDS_API_KEY" in printed["advice"]
    (shown,) = printed["steps"][0]["brands"]
    assert shown["undo"] == ("restore" if renamed else "delete")
    assert "curl -X" in person.run("sagas", "show", saga_id).stdout

    person.send(printed)
    person.decide(printed, "resolve")

    assert sides.names_there() == (["Acme"] if renamed else [])
    sides.recover()
    assert sides.rows("SELECT status FROM saga WHERE saga_id = :id", id=saga_id) == [
        ("compensated",)
    ]


def test_a_key_that_is_no_good_clears_up_no_doubt(sides: Sides, person: Person) -> None:
    sides.save("Acme")
    saga_id = BrandPush(sides.ledger, sides.brand_system, "run").claim()
    assert saga_id
    sides.fault("unavailable_after", method="POST", times=None)
    with pytest.raises(CommerceError):
        BrandPush(sides.ledger, sides.brand_system, "run").push(saga_id)
    sides.heal()
    _park_without_key(sides, saga_id)
    assert sides.names_there() == ["Acme"]

    person.decide(person.read(saga_id), "retry")

    _assert_compensated(sides, ["Acme"])
    assert sides.names_there() == []


@pytest.mark.parametrize("landed", [False, True])
def test_a_change_in_doubt_is_sent_again_and_taken_back_by_what_is_printed(
    sides: Sides, person: Person, landed: bool
) -> None:
    brand = sides.save("Acme")
    sides.push()
    sides.rename(brand.id, "Acme II")
    saga_id = BrandPush(sides.ledger, sides.brand_system, "run").claim()
    assert saga_id
    sides.fault(f"unavailable_{'after' if landed else 'before'}", method="PATCH", times=None)
    with pytest.raises(CommerceError):
        BrandPush(sides.ledger, sides.brand_system, "run").push(saga_id)
    sides.heal()
    _park_without_key(sides, saga_id)
    assert sides.names_there() == ["Acme II" if landed else "Acme"]

    first = person.read(saga_id)
    assert first["steps"][0]["brands"][0]["undo"] == ("restore" if landed else "send")
    person.send(first)
    printed = person.read(saga_id)
    person.send(printed)
    person.decide(printed, "resolve")

    assert sides.names_there() == ["Acme"]
    sides.recover()
    assert sides.rows("SELECT status FROM saga WHERE saga_id = :id", id=saga_id) == [
        ("compensated",)
    ]


def test_without_a_brand_system_the_print_says_what_to_set(sides: Sides, person: Person) -> None:
    sides.save("Acme")
    saga_id = BrandPush(sides.ledger, sides.brand_system, "run").claim()
    assert saga_id
    sides.there.create(name="Acme")
    with Saga.joined(sides.ledger, saga_id, "run") as saga:
        step = CreateForeignBrand(sides.brand_system)
        saga.take(step, {"facts": ["Acme", None, None]})
    unset = brand_push.steps(on_demand(_unset))
    park(sides, saga_id, Compensator(sides.ledger, {brand_push.KIND: unset}))

    printed = person.read(saga_id)
    assert "Set BRANDS_URL and BRANDS_API_KEY" in printed["problem"]
    assert "restart; then retry" in printed["advice"]


def _unset() -> BrandSystem:
    raise ConfigurationError("Set BRANDS_URL and BRANDS_API_KEY.")


def _push_and_lose_the_key(sides: Sides, brand_id: str) -> str:
    """Pushes a brand in a run that dies before it is noted, and revokes the key."""
    saga_id = BrandPush(sides.ledger, sides.brand_system, "run").claim()
    assert saga_id
    with sides.ledger.engine.connect() as connection:
        brand = load_brand(connection, brand_id)
        assert brand
        link = load_link(connection, brand.id)
    with Saga.joined(sides.ledger, saga_id, "run") as saga:
        if link is None:
            create = CreateForeignBrand(sides.brand_system)
            saga.take(create, {"facts": list(brand.facts)})
        else:
            update = UpdateForeignBrand(sides.brand_system)
            plan = {"before": as_result(link), "facts": list(brand.facts)}
            saga.take(update, plan)
    _park_without_key(sides, saga_id)
    return saga_id


def _park_without_key(sides: Sides, saga_id: str) -> None:
    revoked = BrandSystem.open(
        url=sides.brand_system.url,
        api_key="revoked",
        budget=UnlimitedBudget(),
    )
    park(sides, saga_id, Compensator(sides.ledger, {brand_push.KIND: brand_push.steps(revoked)}))
    revoked.close()


def park(sides: Sides, saga_id: str, undo: Compensator) -> None:
    """Lets a saga be tried until it is given up."""
    for _ in range(MOST_TRIES):
        undo.compensate(saga_id, "test", reason="broken off by the test")
        sides.change("UPDATE saga SET next_try_at = now()")
    assert sides.rows("SELECT status FROM saga WHERE saga_id = :id", id=saga_id) == [("parked",)]


def _assert_compensated(sides: Sides, names: list[str]) -> None:
    sides.recover()
    statuses = {row[0] for row in sides.rows("SELECT status FROM saga")}
    assert statuses <= {"compensated", "succeeded"}
    assert sides.names_here() == names
