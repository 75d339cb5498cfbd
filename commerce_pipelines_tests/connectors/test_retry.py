"""Backoff on a clock that only moves when somebody sleeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import CommerceError, Conflict, Unavailable, Unknown
from commerce_pipelines_tests.fakes import FakeTime


def script(*outcomes: CommerceError | None) -> Callable[[], int]:
    """Returns a call that raises these in turn, the last one for ever."""
    left = list(outcomes)

    def attempt() -> int:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if outcome is not None:
            raise outcome
        return 42

    return attempt


def test_the_last_error_is_raised_when_the_budget_is_used_up(
    retry: RetryPolicy, time: FakeTime
) -> None:
    with pytest.raises(Unavailable, match="away"):
        retry.run(script(Unavailable("away")))
    assert len(time.slept_seconds) >= 3
    assert time.now_seconds <= retry.budget_seconds


def test_waits_grow_up_to_a_limit_and_are_not_all_alike(retry: RetryPolicy, time: FakeTime) -> None:
    with pytest.raises(Unavailable):
        replace(retry, budget_seconds=2_000.0).run(script(Unavailable()))
    assert time.slept_seconds[0] <= retry.first_wait_seconds
    assert max(time.slept_seconds) <= retry.longest_wait_seconds
    assert max(time.slept_seconds) > retry.first_wait_seconds
    assert len(set(time.slept_seconds)) > 5


def test_a_wait_that_is_asked_for_is_cut_to_the_longest(retry: RetryPolicy, time: FakeTime) -> None:
    assert retry.run(script(Unavailable(retry_after_seconds=3_600), None)) == 42
    first_wait = time.slept_seconds[0] - retry.longest_retry_after_seconds
    assert 0 <= first_wait <= retry.first_wait_seconds


def test_no_wait_is_begun_that_the_budget_does_not_cover(
    retry: RetryPolicy, time: FakeTime
) -> None:
    with pytest.raises(Unavailable) as raised:
        replace(retry, budget_seconds=5).run(script(Unavailable(retry_after_seconds=10)))
    assert time.slept_seconds == []
    assert raised.value.retry_after_seconds == 10


@pytest.mark.parametrize("last", [Unavailable("away"), Conflict("newer")])
def test_one_attempt_in_doubt_leaves_the_whole_call_in_doubt(
    last: CommerceError, retry: RetryPolicy
) -> None:
    with pytest.raises(Unknown, match=r"lost\. Then: ") as raised:
        retry.run(script(Unknown("lost."), last))
    assert raised.value.__cause__ is last


def test_a_success_after_doubt_is_a_success(retry: RetryPolicy) -> None:
    assert retry.run(script(Unknown(), None)) == 42


def test_what_is_no_error_of_ours_passes_through(retry: RetryPolicy) -> None:
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retry.run(broken)
