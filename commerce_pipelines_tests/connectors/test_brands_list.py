"""The brand system's list, scripted: where it goes on, what in it is no brand, where it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.errors import Refused, Unavailable
from commerce_pipelines_tests.connectors.brand_replies import SEEN, VERSION, page, row
from commerce_pipelines_tests.connectors.conftest import TOKEN, OpenSession
from commerce_pipelines_tests.fakes import HANG_UP, CountingBudget, FakeTime, Reply, ScriptedServer


@pytest.fixture
def brands(open_session: OpenSession, budget: CountingBudget) -> BrandSystem:
    """An account on the scripted server."""
    return BrandSystem(open_session(secret_headers={"X-Api-Key": TOKEN}), budget)


def test_the_list_is_asked_for_by_time_and_each_brand_is_kept_once(
    server: ScriptedServer, brands: BrandSystem, budget: CountingBudget
) -> None:
    later = SEEN + timedelta(seconds=1)
    server.reply(
        page(row("a"), row("b"), row("a", name="New", updated_at=later.isoformat()), cursor="c1"),
        page(row("a"), row("c"), total=3),
    )
    fetched = brands.fetch_changed(SEEN - timedelta(days=1))
    assert {brand.external_id: brand.name for brand in fetched.brands} == {
        "a": "New",
        "b": "Nordhang",
        "c": "Nordhang",
    }
    assert (fetched.rejected, fetched.total) == ([], 3)
    assert [received.query for received in server.received] == [
        {"limit": "500", "updated_since": "2026-01-01T03:04:05.000006Z"},
        {"limit": "500", "updated_since": "2026-01-02T03:04:06.000006Z"},
    ]
    assert budget.taken == 2


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (None, "is no object"),
        ("Nordhang", "is no object"),
        ({**row(), "name": None}, "name is missing"),
        ({**row(), "name": 5}, "name is no text"),
        ({**row(), "name": "  \n"}, "name is blank"),
        ({**row(), "name": "x" * 256}, "name is longer than 255 characters"),
        ({**row(), "name": "a\x00b"}, "name contains a NUL character"),
        ({**row(), "name": "\ud83d"}, "name contains half a character"),
        ({**row(), "description": ["x"]}, "description is no text"),
        ({**row(), "logo_url": "\x00"}, "logo_url contains a NUL character"),
        ({**row(), "updated_at": None}, "updated_at is no moment with a zone"),
        ({**row(), "updated_at": "2026-01-02T03:04:05"}, "updated_at is no moment with a zone"),
        ({**row(), "updated_at": "0001-01-01T00:00:00+14:00"}, "updated_at is no moment with"),
        ({**row(), "id": 7}, "id is no text"),
        ({"name": "No id", "updated_at": VERSION}, "id is missing"),
    ],
)
def test_a_row_that_is_no_brand_is_reported_and_the_others_are_read(
    broken: Any, reason: str, server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(page(row("a"), broken, row("b"), broken, total=4))
    fetched = brands.fetch_changed(None)
    assert [brand.external_id for brand in fetched.brands] == ["a", "b"]
    (rejected,) = fetched.rejected
    assert rejected.reason.startswith(reason)
    has_id = isinstance(broken, dict) and isinstance(broken.get("id"), str)
    assert rejected.external_id == ("b_1" if has_id else None)
    assert rejected.excerpt.removesuffix("…").isascii()
    assert len(rejected.excerpt) <= 200


def test_a_brand_that_is_mended_while_reading_is_not_rejected(
    server: ScriptedServer, brands: BrandSystem
) -> None:
    mended = row("a", updated_at="2026-01-03T00:00:00Z")
    server.reply(page(row("a", name=" "), row("b"), cursor="c"), page(row("b"), mended, total=2))
    fetched = brands.fetch_changed(None)
    assert {brand.external_id for brand in fetched.brands} == {"a", "b"}
    assert fetched.rejected == []


@pytest.mark.parametrize(
    "body",
    [
        *([], None, {}, {"brands": {}, "next_cursor": None, "total": 0}),
        {"brands": [], "next_cursor": 5, "total": 0},
        {"brands": [], "next_cursor": None, "total": "many"},
    ],
)
def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one(
    body: Any, server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(Reply(body=body))
    with pytest.raises(Refused, match="something else"):
        brands.fetch_changed(None)


def test_a_list_without_an_end_is_given_up(server: ScriptedServer, brands: BrandSystem) -> None:
    server.reply(*[page(row(), cursor="same")] * 50)
    with pytest.raises(Refused, match="circles"):
        brands.fetch_changed(None)
    assert len(server.received) == 3


def test_a_part_of_the_list_is_no_answer(
    server: ScriptedServer, brands: BrandSystem, time: FakeTime
) -> None:
    server.reply(page(row(), cursor="c"), *[HANG_UP] * 500)
    with pytest.raises(Unavailable):
        brands.fetch_changed(None)
    assert time.now_seconds <= 60
