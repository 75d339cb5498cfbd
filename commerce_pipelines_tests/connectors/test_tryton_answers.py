"""What Tryton's answers mean, without a Tryton: its errors are HTML, but for its own no."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from commerce_pipelines.connectors.erp.tryton_records import Records, id_in
from commerce_pipelines.connectors.erp.tryton_wire import from_json, to_base64, to_json
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import NotFound, Refused, Unauthorised, Unavailable, Unknown
from commerce_pipelines_tests.fakes import FakeTime, Reply, ScriptedServer

KEY = "canary-key-never-shown"


def page(status: int) -> Reply:
    return Reply(status, f"<h1>Error {status}</h1>", {"Content-Type": "text/html"})


NO = Reply(400, {"status": 400, "message": "The code must be unique.", "description": ""})
RECORD = Reply(200, {"id": 7, "name": "Mug"})


@pytest.fixture
def records(server: ScriptedServer, time: FakeTime) -> Iterator[Records]:
    retry = RetryPolicy(budget_seconds=2.0, sleep=time.sleep, clock=time.clock)
    session = HttpSession(
        server.url + "/db", secret_headers={"Authorization": f"bearer {KEY}"}, retry=retry
    )
    opened = Records(session, UnlimitedBudget())
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Unauthorised),
        (403, Unauthorised),
        (404, NotFound),
        *((status, Unavailable) for status in (429, 500, 502, 503, 504)),
    ],
)
def test_a_reading_is_never_in_doubt(
    server: ScriptedServer, records: Records, status: int, error: type[Exception]
) -> None:
    server.reply(*[page(status)] * 20)

    with pytest.raises(error) as caught:
        records.search("product.product", [], ["code"])

    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_writing_that_failed_there_is_in_doubt(
    server: ScriptedServer, records: Records, status: int
) -> None:
    server.reply(*[page(status)] * 20)

    with pytest.raises(Unknown):
        records.create("sale.sale", {"web_id": "order_1"}, ["id"])


def test_contention_is_tried_again(server: ScriptedServer, records: Records) -> None:
    server.reply(page(503), RECORD)

    assert records.create("party.party", {"name": "Mug"}, ["name"]) == {"id": 7, "name": "Mug"}


def test_trytons_no_comes_back_with_its_reason_even_after_a_doubt(
    server: ScriptedServer, records: Records
) -> None:
    server.reply(page(503), NO)

    refused = records.create("sale.sale", {"web_id": "order_1"}, ["id"])

    assert isinstance(refused, Refused)
    assert "The code must be unique." in str(refused)


def test_a_no_to_a_reading_is_a_refusal(server: ScriptedServer, records: Records) -> None:
    server.reply(NO)

    with pytest.raises(Refused, match="must be unique"):
        records.search("product.product", [], ["code"])


def test_a_400_of_somebody_else_is_no_answer_of_trytons(
    server: ScriptedServer, records: Records
) -> None:
    server.reply(page(400))

    with pytest.raises(Refused):
        records.create("sale.sale", {"web_id": "order_1"}, ["id"])


@pytest.mark.parametrize("body", [{"id": 1}, [1], [{"name": "Mug"}], None, "text"])
def test_what_are_no_records_is_no_answer(
    server: ScriptedServer, records: Records, body: object
) -> None:
    server.reply(*[Reply(200, body)] * 20)

    with pytest.raises(Unavailable):
        records.search("product.product", [], ["code"])


def test_half_a_json_is_no_answer(server: ScriptedServer, records: Records) -> None:
    server.reply(*[Reply(200, '[{"id": 1')] * 20)

    with pytest.raises(Unavailable):
        records.search("product.product", [], ["code"])


def test_all_records_are_read_by_their_ids(server: ScriptedServer, records: Records) -> None:
    server.reply(
        Reply(200, [{"id": number} for number in range(1, 501)]), Reply(200, [{"id": 501}])
    )

    assert len(list(records.read("product.product", [], ["id"]))) == 501
    assert server.received[1].query["d"] == to_base64([("id", ">", 500)])


def test_values_travel_exactly_both_ways() -> None:
    price = Decimal("0.1000")

    assert to_json({"price": price}) == (b'{"price":{"__class__":"Decimal","decimal":"0.1000"}}')
    assert from_json({"price": {"__class__": "Decimal", "decimal": "0.1000"}}) == {"price": price}


@pytest.mark.parametrize(
    "value",
    [
        {"__class__": "Decimal", "decimal": "many"},
        {"__class__": "datetime", "year": 2026},
        {"__class__": "date", "year": 2026, "month": 13, "day": 1},
    ],
)
def test_a_value_that_cannot_be_read_is_said_to_be_so(value: object) -> None:
    with pytest.raises(ValueError, match="no "):
        from_json([value])


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "²", "9" * 20, " 1"])
def test_only_numbers_are_ids(text: str) -> None:
    assert id_in(text) is None
