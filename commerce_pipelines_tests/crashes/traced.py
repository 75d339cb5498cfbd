"""Connections that pass points: before each statement, around each commit and request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import Query
from sqlalchemy import Engine, event

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines_tests.crashes.points import Points


def trace_statements(engine: Engine, points: Points, settings: Mapping[str, str]) -> None:
    """Lets every statement and commit of an engine pass points.

    Args:
        engine: Not connected yet.
        points: The points of this process.
        settings: What each session sets first.
    """

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Query, *args: Any, **kwargs: Any) -> Any:
            points.reach(f"before {_short(query)}")
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Query, *args: Any, **kwargs: Any) -> None:
            points.reach(f"before {_short(query)}")
            super().executemany(query, *args, **kwargs)

        @contextmanager
        def copy(self, statement: Query, *args: Any, **kwargs: Any) -> Iterator[psycopg.Copy]:
            points.reach(f"before {_short(statement)}")
            with super().copy(statement, *args, **kwargs) as copy:
                yield copy

    class Connection(psycopg.Connection[Any]):
        def commit(self) -> None:
            points.reach("before COMMIT")
            super().commit()
            points.reach("after COMMIT")

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, params: Any) -> psycopg.Connection[Any]:
        del dialect, record
        connection = Connection.connect(*args, **params)
        for name, value in settings.items():
            connection.execute(f"SET {name} = '{value}'".encode())
        psycopg.Connection.commit(connection)
        connection.cursor_factory = Cursor
        return connection


class TracedHttp(HttpSession):
    """A session whose requests pass points before they go out and after their answer.

    Attributes:
        points: The points of this process.
    """

    points: Points

    def _exchange(self, method: str, path: str, *rest: Any) -> Answer:
        name = f"{method} {'/'.join(path.split('/')[:4])}"
        self.points.reach(f"before {name}")
        try:
            answer = super()._exchange(method, path, *rest)
        except Exception:
            self.points.reach(f"no answer to {name}")
            raise
        self.points.reach(f"after {name}")
        return answer


def _short(query: Query) -> str:
    text = query.decode() if isinstance(query, bytes) else str(query)
    return " ".join(text.split())[:60]
