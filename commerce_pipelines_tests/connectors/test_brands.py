"""The brand system's answers, scripted."""

from __future__ import annotations

import traceback
from datetime import timedelta, timezone
from typing import Any

import pytest

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.errors import (
    CommerceError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Unauthorised,
    Unavailable,
    Unknown,
)
from commerce_pipelines_tests.connectors.brand_replies import SEEN, VERSION, row
from commerce_pipelines_tests.connectors.conftest import TOKEN, OpenSession
from commerce_pipelines_tests.fakes import HANG_UP, CountingBudget, Reply, ScriptedServer

GONE = Reply(404, {"error": {"code": "brand_not_found", "message": "There is no brand b_1"}})
DIFFERS = Reply(412, {"error": {"code": "version_differs", "message": "changed"}})
PROXY_404 = Reply(404, "<html>nothing here</html>", {"Content-Type": "text/html"})


@pytest.fixture
def brands(open_session: OpenSession, budget: CountingBudget) -> BrandSystem:
    """An account on the scripted server."""
    return BrandSystem(open_session(secret_headers={"X-Api-Key": TOKEN}), budget)


def test_a_brand_is_read_with_the_moment_of_its_change(
    server: ScriptedServer, brands: BrandSystem, budget: CountingBudget
) -> None:
    server.reply(
        Reply(body=row(description="Packs", updated_at="2026-01-02T05:04:05.000006+02:00"))
    )
    assert brands.find("b_1") == ForeignBrand("b_1", "Nordhang", "Packs", None, SEEN)
    (received,) = server.received
    assert (received.method, received.path) == ("GET", "/brands/b_1")
    assert received.headers["x-api-key"] == TOKEN
    assert budget.taken == 1


def test_a_brand_that_is_gone_is_none(server: ScriptedServer, brands: BrandSystem) -> None:
    server.reply(GONE, GONE)
    assert brands.find("b_1") is None
    assert brands.delete("b_1", SEEN) is False


@pytest.mark.parametrize("reply", [PROXY_404, Reply(404, {"detail": "Not Found"}), Reply(404, [])])
def test_a_wrong_address_is_not_taken_for_a_brand_that_is_gone(
    reply: Reply, server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(reply, reply)
    with pytest.raises(NotFound):
        brands.find("b_1")
    with pytest.raises(NotFound):
        brands.delete("b_1", SEEN)


def test_a_found_brand_that_is_none_is_told(server: ScriptedServer, brands: BrandSystem) -> None:
    server.reply(Reply(body=row(name=" ")))
    with pytest.raises(Refused, match="name is blank"):
        brands.find("b_1")


def test_a_creation_is_the_same_bytes_under_the_same_key_each_time(
    server: ScriptedServer, brands: BrandSystem, budget: CountingBudget
) -> None:
    server.reply(HANG_UP, Reply(503), Reply(429), Reply(201, row("b_9", name="Ægir")))
    assert brands.create("Ægir", None, "https://e.x/l", "saga:1").external_id == "b_9"
    assert {received.headers["idempotency-key"] for received in server.received} == {"saga:1"}
    assert len({received.body for received in server.received}) == 1
    assert server.received[0].json() == {
        "name": "Ægir",
        "description": None,
        "logo_url": "https://e.x/l",
    }
    assert budget.taken == 4


def test_a_change_and_a_deletion_are_for_one_version(
    server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(Reply(body=row(name="New")), Reply(204, b""))
    there = SEEN.astimezone(timezone(timedelta(hours=-3)))
    assert brands.update("a/b ü", {"name": "New", "logo_url": None}, there).name == "New"
    assert brands.delete("b_1", there) is True
    patch, delete = server.received
    assert (patch.method, patch.path) == ("PATCH", "/brands/a%2Fb%20%C3%BC")
    assert patch.json() == {"name": "New", "logo_url": None}
    assert delete.method == "DELETE"
    versions = {each.headers["if-unmodified-since-version"] for each in (patch, delete)}
    assert versions == {VERSION}


def test_a_version_that_differs_is_a_conflict(server: ScriptedServer, brands: BrandSystem) -> None:
    server.reply(DIFFERS, DIFFERS)
    with pytest.raises(Conflict):
        brands.update("b_1", {"name": "New"}, SEEN)
    with pytest.raises(Conflict):
        brands.delete("b_1", SEEN)


def test_a_conflict_after_a_lost_answer_may_be_our_own_change_but_never_our_deletion(
    server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(HANG_UP, DIFFERS, HANG_UP, DIFFERS)
    with pytest.raises(Unknown, match="412"):
        brands.update("b_1", {"name": "New"}, SEEN)
    with pytest.raises(Conflict):
        brands.delete("b_1", SEEN)


@pytest.mark.parametrize("body", [b"", {}, [], {"id": "b_1"}])
def test_a_write_whose_answer_names_no_brand_is_in_doubt(
    body: Any, server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(*[Reply(200, body)] * 1000)
    with pytest.raises(Unknown, match="no brand"):
        brands.create("New", None, None, "k")
    with pytest.raises(Unknown, match="no brand"):
        brands.update("b_1", {"name": "New"}, SEEN)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        *((Reply(401), Unauthorised), (Reply(403), Unauthorised), (Reply(422), Refused)),
        *((Reply(429), Unavailable), (Reply(503), Unknown)),
    ],
)
def test_what_never_gets_better_is_its_own_error(
    reply: Reply, error: type[CommerceError], server: ScriptedServer, brands: BrandSystem
) -> None:
    server.reply(*[reply] * 3000)
    for call in (
        lambda: brands.create("New", None, None, "k"),
        lambda: brands.update("b_1", {"name": "New"}, SEEN),
        lambda: brands.delete("b_1", SEEN),
    ):
        with pytest.raises(CommerceError) as raised:
            call()
        assert type(raised.value) is error


def test_what_cannot_be_sent_is_never_sent(server: ScriptedServer, brands: BrandSystem) -> None:
    naive = SEEN.replace(tzinfo=None)
    for call in (
        lambda: brands.fetch_changed(naive),
        lambda: brands.find(".."),
        lambda: brands.find(""),
        lambda: brands.find("\ud83d"),
        lambda: brands.create(" ", None, None, "k"),
        lambda: brands.create("a\x00", None, None, "k"),
        lambda: brands.create("a", "\ud83d", None, "k"),
        lambda: brands.create("a", None, None, ""),
        lambda: brands.create("a", None, None, "ключ"),
        lambda: brands.create("a", None, None, "a\r\nX-Api-Key: b"),
        lambda: brands.update("b_1", {}, SEEN),
        lambda: brands.update("b_1", {"name": None}, SEEN),
        lambda: brands.update("b_1", {"colour": "red"}, SEEN),
        lambda: brands.update("b_1", {"name": "a"}, naive),
        lambda: brands.delete("b_1", naive),
    ):
        with pytest.raises(InvalidInput):
            call()
    assert server.received == []


def test_the_key_is_in_no_text(server: ScriptedServer, brands: BrandSystem) -> None:
    server.reply(*[Reply(401, {"error": {"code": "x", "message": f"who is {TOKEN}"}})] * 2)
    for call in (lambda: brands.find("b_1"), lambda: brands.delete("b_1", SEEN)):
        with pytest.raises(Unauthorised) as raised:
            call()
        shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
        assert "who is ***" in shown
        assert TOKEN not in shown
    assert TOKEN not in repr(brands) + repr(vars(brands))
