"""Sessions that are closed, and time that does not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines_tests.fakes import CountingBudget, FakeTime, ScriptedServer

TOKEN = "canary-token-never-shown"

OpenSession = Callable[..., HttpSession]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server with an empty script."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def time() -> FakeTime:
    """A clock that only moves when somebody sleeps."""
    return FakeTime()


@pytest.fixture
def retry(time: FakeTime) -> RetryPolicy:
    """The default policy on that clock."""
    return RetryPolicy(sleep=time.sleep, clock=time.clock)


@pytest.fixture
def budget() -> CountingBudget:
    """A budget that counts."""
    return CountingBudget()


@pytest.fixture
def open_session(server: ScriptedServer, retry: RetryPolicy) -> Iterator[OpenSession]:
    """Opens sessions with the server and closes them in the end."""
    with ExitStack() as stack:

        def opened(base_url: str | None = None, **options: Any) -> HttpSession:
            arguments: dict[str, Any] = {
                "secret_headers": {"Authorization": f"Bearer {TOKEN}"},
                "retry": retry,
            }
            return stack.enter_context(HttpSession(base_url or server.url, **arguments | options))

        yield opened
