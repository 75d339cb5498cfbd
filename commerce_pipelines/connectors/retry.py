"""When a call is tried again, and how long we wait before.

Belongs here: backoff and its budget. Does not belong here: which errors are
transient (`errors`) and which calls may be repeated (each connector).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from commerce_pipelines.errors import CommerceError, TransientError, Unknown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter inside a budget.

    Attributes:
        budget_seconds: No attempt starts later than this after the first one.
        first_wait_seconds: The longest first wait; it doubles with each attempt.
        longest_wait_seconds: What the doubling stops at.
        longest_retry_after_seconds: A longer request to wait is cut to this.
        sleep: Waits; an argument for tests.
        clock: Monotonic seconds; an argument for tests.
    """

    budget_seconds: float = 60.0
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 15.0
    longest_retry_after_seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, attempt: Callable[[], T]) -> T:
        """Calls `attempt` until it succeeds, fails for good, or the budget is used up.

        Raises:
            Unknown: It failed, and at least one attempt may have had its effect.
            CommerceError: It failed, and certainly none had.
        """
        doubts: list[Unknown] = []
        try:
            answer: T = self._retrying()(_remembering, attempt, doubts)
            return answer
        except Unknown:
            raise
        except CommerceError as error:
            if not doubts:
                raise
            wait = error.retry_after_seconds if isinstance(error, TransientError) else None
            message = f"{doubts[-1]} Then: {error}"
            raise Unknown(message, retry_after_seconds=wait) from error

    def _retrying(self) -> Retrying:
        started = self.clock()
        backoff = wait_random_exponential(self.first_wait_seconds, self.longest_wait_seconds)

        def spent(state: RetryCallState) -> bool:
            return self.clock() - started + state.upcoming_sleep > self.budget_seconds

        def wait(state: RetryCallState) -> float:
            asked = min(_asked_seconds(state), self.longest_retry_after_seconds)
            return asked + backoff(state)

        return Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=spent,
            wait=wait,
            sleep=self.sleep,
            reraise=True,
        )


def _remembering(attempt: Callable[[], T], doubts: list[Unknown]) -> T:
    try:
        return attempt()
    except Unknown as error:
        doubts.append(error)
        raise


def _asked_seconds(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, TransientError) else None
    return asked or 0.0
