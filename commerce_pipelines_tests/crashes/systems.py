"""The outside systems of one ground: the sandbox and the order system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.crashes.erp import OrderSystem
from commerce_pipelines_tests.services.cms import open_session

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Systems:
    """The outside systems of one ground; reset for each case.

    Attributes:
        sandbox: Sanity and the brand system.
        orders: The order system.
        session: Speaks to the sandbox's faults.
    """

    sandbox: RunningSandbox
    orders: OrderSystem
    session: requests.Session

    def reset(self) -> None:
        """Makes them forget documents, orders, faults and effects."""
        for what in ("", "/effects", "/state"):
            self._ask("DELETE", what)
        self.orders.reset()

    def effects(self) -> list[dict[str, Any]]:
        """Returns what changed something in the sandbox, oldest first."""
        effects: list[dict[str, Any]] = self._ask("GET", "/effects").json()
        return effects

    def _ask(self, method: str, path: str) -> requests.Response:
        url = self.sandbox.addresses["faults"]["url"] + path
        answer = self.session.request(method, url, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer


@contextmanager
def running_systems() -> Iterator[Systems]:
    """Starts outside systems."""
    options = SandboxOptions(port=0, rate_limit=False)
    with (
        RunningSandbox(options) as sandbox,
        OrderSystem() as order_system,
        open_session() as session,
    ):
        yield Systems(sandbox, order_system, session)
