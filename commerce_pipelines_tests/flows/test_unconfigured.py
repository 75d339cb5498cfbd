"""Recovery while a system is not configured: only what needs that system waits for a person."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg
import pytest

from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services import pim_import
from commerce_pipelines.services.brand_push import BrandPush
from commerce_pipelines.services.brand_sync import BrandSync
from commerce_pipelines.services.operations import Desk
from commerce_pipelines_tests.flows.brand_ground import configured_for, execute
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

SANITY = ("SANITY_PROJECT_ID", "SANITY_SECRET_TOKEN")
BRANDS = ("BRANDS_URL", "BRANDS_API_KEY")


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


def test_without_sanity_a_sweep_undoes_what_has_no_effect_there(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    _half_a_sync(sides)
    _half_a_push(sides)
    _unset(*SANITY)

    assert execute("saga_recovery", instance).success

    assert _states(sides) == {"brand_sync": "compensated", "brand_push": "compensated"}
    assert (sides.names_here(), sides.names_there()) == (["Zenith"], ["Acme"])


def test_without_a_brand_system_only_its_own_sagas_are_parked_and_say_what_is_missing(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    _half_a_sync(sides)
    _half_a_push(sides)
    _unset(*BRANDS)

    assert execute("saga_recovery", instance).success

    assert _states(sides) == {"brand_sync": "compensated", "brand_push": "parked"}
    (concern,) = Desk(sides.ledger.engine).status()["parked"]
    assert "Set BRANDS_URL and BRANDS_API_KEY." in concern["problem"]
    assert concern["advice"].endswith("restart; then retry.")


def test_without_sanity_an_import_without_documents_is_undone(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    with sides.ledger.engine.begin() as connection:
        claim = sides.ledger.begin(
            connection, saga_id="given-up", kind=pim_import.KIND, lock_key="x", run_id="run"
        )
        sides.ledger.abort(connection, claim, "by the test")
    _unset(*SANITY)

    assert execute("saga_recovery", instance).success

    assert _states(sides) == {"pim_import": "compensated"}


def test_without_sanity_the_hook_of_a_push_undoes_it_at_once(
    sides: Sides, instance: dg.DagsterInstance
) -> None:
    sides.save("Acme")
    sides.fault("unavailable_after", times=1, method="POST")
    _unset(*SANITY)

    assert not execute("brand_push", instance).success

    assert _states(sides) == {"brand_push": "compensated"}
    assert sides.names_there() == []


def _half_a_sync(sides: Sides) -> None:
    """Creates a brand of the other side in a run that is gone before its sync ends."""
    sides.there.create(name="Acme")
    flow = BrandSync(sides.ledger, sides.brand_system, "dies")
    retrieved = flow.retrieve()
    saga_id = flow.decide(retrieved).saga_id
    assert saga_id is not None
    flow.create(saga_id, retrieved)
    sides.change("UPDATE saga SET lease_until = now() - interval '1 s'")


def _half_a_push(sides: Sides) -> None:
    """Creates a brand on the other side, without hearing of it."""
    sides.save("Zenith")
    sides.fault("unavailable_after", method="POST", times=20)
    with pytest.raises(CommerceError):
        BrandPush(sides.ledger, sides.brand_system, "dies").push(_claimed(sides))
    sides.heal()


def _claimed(sides: Sides) -> str:
    saga_id = BrandPush(sides.ledger, sides.brand_system, "dies").claim()
    assert saga_id is not None
    return saga_id


def _unset(*names: str) -> None:
    for name in names:
        del os.environ[name]


def _states(sides: Sides) -> dict[str, str]:
    return {str(kind): str(status) for kind, status in sides.rows("SELECT kind, status FROM saga")}
