"""What another system refuses for good is told at once, with its reason and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.errors import (
    CommerceError,
    Conflict,
    Refused,
    Unauthorised,
    Unavailable,
)
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services import operations
from commerce_pipelines.store import message_operations
from commerce_pipelines.store.messages import MOST_TRIES
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides
from commerce_pipelines_tests.services.order_desk import Desk

TAKEN = 'POST /brands answered 409: {"error": {"code": "name_taken", "message": "Acme is taken"}}'


class Picky(BrandSystem):
    """A brand system in which the name Acme is another brand's."""

    def create(
        self, name: str, description: str | None, logo_url: str | None, idempotency_key: str
    ) -> ForeignBrand:
        """Creates a brand of another name."""
        if name == "Acme":
            raise Conflict(TAKEN)
        return super().create(name, description, logo_url, idempotency_key)


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty."""
    with both_sides(ledger, sandbox.addresses) as sides:
        yield sides


@pytest.fixture
def picky(sides: Sides, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, empty, with a brand system that does not take each name."""
    address = sandbox.addresses["brands"]
    system = Picky.open(url=address["url"], api_key=address["api_key"], budget=UnlimitedBudget())
    yield replace(sides, brand_system=system)
    system.close()


def status(ledger: Ledger) -> dict[str, Any]:
    return operations.Desk(ledger.engine).status()


def refused_push(sides: Sides) -> CommerceError:
    """Pushes what waits; returns how that failed, and takes back what was begun."""
    with pytest.raises(CommerceError) as caught:
        sides.push()
    sides.recover()
    sides.make_due()
    return caught.value


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("name = repeat('x', 256)", "name is longer than 255 characters"),
        ("name = ' '", "name is blank"),
        ("logo_url = repeat('x', 10001)", "422"),
    ],
)
def test_a_brand_that_cannot_be_taken_is_told_at_once_with_what_to_do(
    sides: Sides, wrong: str, reason: str
) -> None:
    sides.save("Acme")
    sides.change(f"UPDATE brand SET {wrong}")

    refused_push(sides)

    (told,) = status(sides.ledger)["refused"]
    assert reason in told["problem"]
    assert "change it here, or have it changed there" in told["problem"]
    assert "comes again by itself" in told["advice"]
    assert f"messages show {told['message_id']}" in told["text"]
    assert sides.names_there() == []


def test_a_brand_whose_name_is_anothers_there_is_taken_once_it_is_renamed_here(
    picky: Sides,
) -> None:
    brand = picky.save("Acme")

    error = refused_push(picky)

    assert isinstance(error, Conflict)
    (told,) = status(picky.ledger)["refused"]
    assert "'Acme'" in told["problem"]
    assert told["problem"].endswith("Acme is taken")
    picky.rename(brand.id, "Acme & Sons")
    assert [each["action"] for each in picky.push()] == ["created", "unchanged"]
    found = status(picky.ledger)
    assert (found["refused"], found["refused_count"]) == ([], 0)


def test_what_is_refused_each_time_is_dead_after_its_tries_and_told_once(sides: Sides) -> None:
    sides.save("Acme")
    sides.change("UPDATE brand SET name = ' '")
    seen = []
    for _ in range(MOST_TRIES):
        refused_push(sides)
        found = status(sides.ledger)
        seen.append((found["refused_count"], found["dead_count"]))

    assert seen == [(1, 0)] * (MOST_TRIES - 1) + [(0, 1)]
    assert "change it here" in found["dead"][0]["problem"]
    with sides.ledger.engine.begin() as connection:
        message_operations.replay(connection, [found["dead"][0]["message_id"]], "nora", "mended")
    found = status(sides.ledger)
    assert (found["refused_count"], found["dead_count"]) == (0, 0)


def test_the_words_do_not_change_from_try_to_try_nor_while_one_is_made(ledger: Ledger) -> None:
    desk = Desk(ledger)
    desk.place()
    told = []
    for _ in range(2):
        desk.erp.answer("create", Refused("the variant is discontinued"))
        desk.fails()
        told.append(status(ledger)["refused"][0]["text"])
        desk.recover()
    desk.change("UPDATE message SET state = 'claimed', tries = tries + 1")
    told.append(status(ledger)["refused"][0]["text"])

    assert len(set(told)) == 1
    assert "the variant is discontinued" in told[0]
    assert "in the ERP" in told[0]


def test_a_system_that_is_away_refuses_nothing(ledger: Ledger) -> None:
    desk = Desk(ledger)
    desk.place()
    desk.erp.answer("create", Refused("the variant is discontinued"))
    desk.fails()
    desk.recover()
    desk.erp.answer("create", Unavailable("The ERP is away."))
    desk.fails()

    assert status(ledger)["refused"] == []


def test_credentials_that_are_refused_are_told_as_such(ledger: Ledger) -> None:
    desk = Desk(ledger)
    desk.place()
    desk.erp.answer("create", Unauthorised("POST /orders answered 401"))

    desk.fails()

    (told,) = status(ledger)["refused"]
    assert "credentials of the ERP" in told["advice"]
