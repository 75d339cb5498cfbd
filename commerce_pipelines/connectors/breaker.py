"""A circuit breaker: a system that keeps failing is left alone for a while.

Belongs here: when it opens, who may probe. Does not belong here: repeating (`retry`)
and rates (`rate_budget`). Every process has its own: what one has learnt the others
learn from their own requests, a handful at most.

Of `circuitbreaker` the counting is used; it lets everybody through once its time is
up, so the one probe is seen to here.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final

from circuitbreaker import STATE_HALF_OPEN, CircuitBreaker
from requests import RequestException
from urllib3.exceptions import HTTPError

from commerce_pipelines.connectors.answer import Answer
from commerce_pipelines.errors import Unavailable

FAILURES: Final = 5
PAUSE_SECONDS: Final = 10


class Breaker:
    """A breaker of one system; threads may share it.

    A failure is no answer, a 5xx, or a success that is no JSON. Any other answer, a
    refusal too, shows that the system works.

    Args:
        system: Whose it is, for messages.
        failures: It opens after so many in a row.
        pause_seconds: How long it stays open; then one request probes.
    """

    def __init__(
        self, system: str, *, failures: int = FAILURES, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._system = system
        self._circuit = CircuitBreaker(failures, pause_seconds, _FailedError, system)
        self._probe = Lock()

    def run(self, exchange: Callable[[], Answer]) -> Answer:
        """Exchanges a request for an answer, unless the breaker is open.

        Raises:
            Unavailable: It is open; nothing was sent.
            RequestException: As the exchange does.
            HTTPError: As the exchange does.
        """
        if self._circuit.opened:
            raise self._open()
        if self._circuit.state != STATE_HALF_OPEN:
            return self._counted(exchange)
        if not self._probe.acquire(blocking=False):
            raise self._open()
        try:
            return self._counted(exchange)
        finally:
            self._probe.release()

    def _counted(self, exchange: Callable[[], Answer]) -> Answer:
        try:
            with self._circuit:
                answer = _checked(exchange)
        except _FailedError as failed:
            if failed.answer is not None:
                return failed.answer
            raise failed.__cause__ or failed from None
        return answer

    def _open(self) -> Unavailable:
        count = self._circuit.failure_count
        text = f"{self._system} failed {count} times in a row and is left alone for a while."
        return Unavailable(text, retry_after_seconds=max(1.0, float(self._circuit.open_remaining)))


class _FailedError(Exception):
    """The system did not do what it should."""

    def __init__(self, answer: Answer | None = None) -> None:
        super().__init__()
        self.answer = answer


def _checked(exchange: Callable[[], Answer]) -> Answer:
    try:
        answer = exchange()
    except (RequestException, HTTPError) as failure:
        raise _FailedError from failure
    if answer.status >= 500 or answer.fault is not None:
        raise _FailedError(answer)
    return answer
