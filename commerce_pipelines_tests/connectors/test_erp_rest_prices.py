"""Prices and stock of the reference contract that are none, and some that are odd."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from commerce_pipelines.connectors.erp.port import RejectedRecord
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.domain.price_book import EVERYBODY, PriceTier
from commerce_pipelines_tests.connectors.conftest import OpenSession
from commerce_pipelines_tests.connectors.erp_replies import AS_OF, price, prices
from commerce_pipelines_tests.fakes import CountingBudget, Reply, ScriptedServer


@pytest.fixture
def erp(open_session: OpenSession, budget: CountingBudget) -> RestErp:
    """An ERP on the scripted server."""
    return RestErp(open_session(), budget)


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        ([(1, "-1")], "negative"),
        ([(1, "1.23456")], "decimals"),
        ([(1, 9.9)], "no decimal text"),
        ([(1, 9)], "no decimal text"),
        ([(1, "NaN")], "no decimal text"),
        ([(1, "1e3")], "no decimal text"),
        ([(1, "9999999999999")], "too large"),
        ([(2, "1")], "single one"),
        ([(1, "1"), (1, "2")], "one quantity"),
        ([(1, "1"), (0, "2")], "whole number"),
        ([(1, "1"), (True, "2")], "whole number"),
        ([(1, "1"), (10, None)], "no decimal text"),
    ],
)
def test_a_price_that_is_none_is_rejected_and_stops_no_other(
    erp: RestErp, server: ScriptedServer, amounts: list[Any], reason: str
) -> None:
    server.reply(prices(price("v-1", *amounts), price("v-2", (1, "9.9"))))

    found = erp.fetch_prices(["v-1", "v-2"], "EUR", EVERYBODY)

    assert found.tiers == {"v-2": (PriceTier(1, Decimal("9.9")),)}
    (rejected,) = found.rejected
    assert rejected.external_id == "v-1"
    assert reason in rejected.reason


@pytest.mark.parametrize(
    "row", [{"variant": "v-1", "tiers": None}, price("v-1"), price("v-1", (1, None))]
)
def test_no_price_in_any_form_means_not_for_sale(
    erp: RestErp, server: ScriptedServer, row: Any
) -> None:
    server.reply(prices(row))

    assert erp.fetch_prices(["v-1", "v-2"], "EUR", EVERYBODY).tiers == {"v-1": None, "v-2": None}


def test_a_price_of_nobody_knows_what_leaves_open_what_is_missing(
    erp: RestErp, server: ScriptedServer
) -> None:
    server.reply(prices("nonsense", price("v-2", (1, "1"))))

    found = erp.fetch_prices(["v-1", "v-2"], "EUR", EVERYBODY)

    assert set(found.tiers) == {"v-2"}
    assert found.rejected == (RejectedRecord(None, "is no object"),)


def test_two_contents_for_one_variant_are_none(erp: RestErp, server: ScriptedServer) -> None:
    server.reply(prices(price("v-1", (1, "1")), price("v-1", (1, "2"))))

    found = erp.fetch_prices(["v-1"], "EUR", EVERYBODY)

    assert found.tiers == {}
    assert [each.external_id for each in found.rejected] == ["v-1"]


@pytest.mark.parametrize(
    ("available", "whole"), [("12.9", 12), ("-0.5", -1), ("-3", -3), ("0", 0), ("007", 7)]
)
def test_parts_of_a_unit_do_not_count(
    erp: RestErp, server: ScriptedServer, available: str, whole: int
) -> None:
    level = {"variant": "v-1", "available": available, "allows_out_of_stock": False}
    server.reply(Reply(body={"as_of": AS_OF, "stock": [level]}))

    assert erp.fetch_stock(["v-1"]).levels["v-1"].available == whole


@pytest.mark.parametrize("available", [None, 12, "many", "99999999999", True])
def test_stock_that_is_none_is_rejected(
    erp: RestErp, server: ScriptedServer, available: Any
) -> None:
    level = {"variant": "v-1", "available": available, "allows_out_of_stock": False}
    server.reply(Reply(body={"as_of": AS_OF, "stock": [level]}))

    found = erp.fetch_stock(["v-1"])

    assert found.levels == {}
    assert [each.external_id for each in found.rejected] == ["v-1"]


def test_many_variants_are_asked_for_in_few_requests(
    erp: RestErp, server: ScriptedServer, budget: CountingBudget
) -> None:
    earlier = "2026-01-01T00:00:00Z"
    server.reply(*[prices()] * 2, Reply(body={"as_of": earlier, "prices": []}))
    variants = [f"v-{at}" for at in range(2_500)]

    found = erp.fetch_prices([*variants, *variants], "EUR", EVERYBODY)

    assert len(server.received) == budget.taken == 3
    assert len(found.tiers) == 2_500
    assert found.as_of == datetime(2026, 1, 1, tzinfo=UTC)
