"""Brands that an import creates go to the other side too, once the import has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.operations import Decision
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.operations import Desk
from commerce_pipelines_tests.factories import product
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides
from commerce_pipelines_tests.services.shop import Shop


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty, synced once."""
    with both_sides(ledger, sandbox.addresses) as sides:
        sides.sync()
        yield sides


def store_only(shop: Shop, *products: object, run_id: str = "dies") -> str:
    """Does the first half of an import, and returns its saga."""
    shop.receive(*products)
    flow = shop.flow(run_id)
    opened = flow.open_page()
    assert opened is not None
    flow.store_page(opened)
    return opened.saga_id


def outcomes(sides: Sides) -> list[str]:
    """Returns what became of the messages about brands."""
    query = """
        SELECT outcome->>'action' FROM message WHERE topic = 'brands' AND state = 'done'
        ORDER BY id"""
    return [str(row[0]) for row in sides.rows(query)]


def test_a_brand_that_an_import_created_is_created_there_once(shop: Shop, sides: Sides) -> None:
    shop.take(product(1, brand="Acme"), product(2, brand="ACME"), product(3, brand="Zenith"))
    shop.take(product(4, brand="acmé"))

    assert [pushed["action"] for pushed in sides.push()] == ["created", "created"]
    sides.sync()

    assert sides.names_there() == ["Acme", "Zenith"]
    assert [len(brand.external_ids) for brand in sides.here()] == [1, 1]
    assert sides.push() == []


def test_nothing_is_pushed_before_the_import_has_ended(shop: Shop, sides: Sides) -> None:
    saga_id = store_only(shop, product(1, brand="Acme"))

    assert sides.push() == []

    shop.flow("dies").publish_page(saga_id)
    assert [pushed["action"] for pushed in sides.push()] == ["created"]


def test_a_brand_of_an_undone_import_is_not_pushed_and_that_of_the_next_try_is(
    shop: Shop, sides: Sides
) -> None:
    store_only(shop, product(1, brand="Acme"))
    shop.make_due()
    assert shop.recover() == {"compensated": 1}

    sides.push()
    assert (sides.names_here(), sides.names_there()) == ([], [])

    shop.run()
    sides.push()
    assert sides.names_there() == ["Acme"]
    assert outcomes(sides) == ["gone from the store", "created"]


def test_a_brand_that_outlives_its_import_is_pushed(shop: Shop, sides: Sides) -> None:
    store_only(shop, product(1, brand="Acme"))
    shop.take(product(2, brand="Acme"))
    shop.make_due()
    shop.recover()

    sides.push()

    assert sides.names_here() == sides.names_there() == ["Acme"]


def test_the_brands_of_a_parked_import_wait_for_a_persons_decision(
    shop: Shop, sides: Sides
) -> None:
    saga_id = store_only(shop, product(1, brand="Acme"))
    shop.change(
        """UPDATE saga SET status = 'aborting', holder = NULL, lease_until = NULL
           WHERE saga_id = :id""",
        id=saga_id,
    )
    shop.change(
        "UPDATE saga_step SET state = 'parked', error = 'x' WHERE saga_id = :id", id=saga_id
    )
    shop.change("UPDATE saga SET status = 'parked' WHERE saga_id = :id", id=saga_id)
    assert sides.push() == []

    Desk(shop.engine).accept(saga_id, Decision("nora", "it is right"))
    shop.recover()

    sides.push()
    assert sides.names_there() == ["Acme"]


def test_a_brand_that_comes_from_there_by_its_id_is_not_pushed_back(
    shop: Shop, sides: Sides
) -> None:
    linked = sides.there.create(name="Acme")["id"]
    sides.sync()
    fresh = sides.there.create(name="Zenith")["id"]

    shop.take(
        product(1, brand={"external_id": linked}),
        product(2, brand={"external_id": fresh, "name": "Zenith Ltd"}),
    )

    assert sides.push() == []
    assert sides.names_there() == ["Acme", "Zenith"]


def test_a_name_that_is_also_given_without_an_id_is_pushed(shop: Shop, sides: Sides) -> None:
    shop.take(product(1, brand={"external_id": "77", "name": "Acme"}), product(2, brand="Acme"))

    assert [pushed["action"] for pushed in sides.push()] == ["created"]


def test_a_brand_that_was_made_there_meanwhile_is_linked_and_not_made_again(
    shop: Shop, sides: Sides
) -> None:
    shop.take(product(1, brand="Acme"))
    sides.there.create(name="ACME")

    sides.push()
    sides.sync()

    assert len(sides.there.page()["brands"]) == len(sides.here()) == 1
