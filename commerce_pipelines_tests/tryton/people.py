"""What people do in Tryton, over its REST interface, without the adapter's code."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import requests

from commerce_pipelines_tests.tryton.server import TrytonServer

Row = dict[str, Any]


class People:
    """Tryton's users.

    Args:
        server: The Tryton they sit in front of.
    """

    def __init__(self, server: TrytonServer) -> None:
        self._server = server
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"bearer {server.seeded['key']}"

    def close(self) -> None:
        """Ends their session."""
        self._session.close()

    def create(self, model: str, **values: Any) -> int:
        """Makes a record; returns its id."""
        return int(self._send("POST", model, values)["id"])

    def change(self, model: str, record: int, **values: Any) -> None:
        """Changes a record."""
        self._send("PUT", f"{model}/{record}", values)

    def delete(self, model: str, record: int) -> None:
        """Deletes a record."""
        self._send("DELETE", f"{model}/{record}")

    def act(self, model: str, record: int, action: str) -> None:
        """Presses a button."""
        self._send("POST", f"{model}/{record}/{action}", {})

    def find(self, model: str, *domain: Any, fields: tuple[str, ...] = ("id",)) -> list[Row]:
        """Looks for records."""
        params = {"f": list(fields), "d": _base64(list(domain))}
        return list(self._send("GET", model, params=params))

    def _send(self, method: str, path: str, values: Any = None, params: Any = None) -> Any:
        context = {"company": self._server.seeded["company"], "_skip_warnings": True}
        answer = self._session.request(
            method,
            f"{self._server.url}/rest/model/{path}",
            params={"f": ["id"]} if params is None else params,
            data=None if values is None else json.dumps(values, default=_with_class),
            headers={"X-Tryton-Context": _base64(context), "Content-Type": "application/json"},
            timeout=60,
        )
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None


def _base64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, default=_with_class).encode()).decode()


def _with_class(value: Any) -> Row:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{name: getattr(moment, name) for name in names}}
    assert isinstance(value, date), value
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
