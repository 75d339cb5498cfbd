"""What the reference contract answers, for a scripted server to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from commerce_pipelines_tests.fakes import Reply

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
MOMENT = "2026-01-02T03:04:05.000006Z"
LATER = "2026-01-02T03:04:06.000000Z"
AS_OF = "2026-01-03T00:00:00.000000Z"


def product(external_id: str = "p-1", **fields: Any) -> dict[str, Any]:
    """Returns a product as the contract has it."""
    variant = {"id": "v-1", "sku": None, "title": "A", "options": [{"name": "Size", "value": "A"}]}
    usual = {"title": "Mug", "description": None, "active": True, "variants": [variant]}
    return {"id": external_id, **usual, "changed_at": MOMENT, "revision": "r1", **fields}


def products(*rows: Any, cursor: Any = None, as_of: Any = AS_OF) -> Reply:
    """Returns a page of products."""
    return Reply(body={"products": list(rows), "next_cursor": cursor, "as_of": as_of})


def order(external_id: str = "o-1", **fields: Any) -> dict[str, Any]:
    """Returns an order as the contract has it."""
    usual = {"number": "SO-1", "reference": "order_1", "status": "draft", "currency_code": "EUR"}
    lines = [{"variant": "v-1", "quantity": 2, "unit_price": "9.90"}]
    moments = {"placed_at": MOMENT, "changed_at": MOMENT}
    return {"id": external_id, **usual, "total": "19.80", **moments, "lines": lines, **fields}


def orders(*rows: Any, cursor: Any = None) -> Reply:
    """Returns a page of orders."""
    return Reply(body={"orders": list(rows), "next_cursor": cursor, "as_of": AS_OF})


def prices(*rows: Any) -> Reply:
    """Returns prices."""
    return Reply(body={"as_of": AS_OF, "prices": list(rows)})


def price(variant: str, *tiers: Any) -> dict[str, Any]:
    """Returns the price of one variant."""
    return {"variant": variant, "tiers": [{"min_quantity": q, "amount": a} for q, a in tiers]}


def no(code: str, status: int) -> Reply:
    """Returns a refusal of the ERP's own."""
    return Reply(status, {"error": {"code": code, "message": "no"}})
