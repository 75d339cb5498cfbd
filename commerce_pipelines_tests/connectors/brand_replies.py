"""What the brand system answers, for a scripted server to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from commerce_pipelines_tests.fakes import Reply

SEEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
VERSION = "2026-01-02T03:04:05.000006Z"


def row(external_id: str = "b_1", **fields: Any) -> dict[str, Any]:
    """Returns a brand as the brand system writes it."""
    usual = {"name": "Nordhang", "description": None, "logo_url": None, "created_at": VERSION}
    return {"id": external_id, **usual, "updated_at": VERSION, **fields}


def page(*rows: Any, total: Any = 1, cursor: Any = None) -> Reply:
    """Returns a page of the list."""
    return Reply(body={"brands": list(rows), "next_cursor": cursor, "total": total})
