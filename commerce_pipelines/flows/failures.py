"""How our errors show in Dagster, and which of them it tries again.

A failure's description is one sentence that says what happened and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from commerce_pipelines.errors import CommerceError, TransientError


def is_tried_again(context: dg.OpExecutionContext) -> bool:
    """Tells whether the job tries the op once more after an error that may pass."""
    policy = context.job_def.get_retry_policy_for_handle(context.op_handle)
    return policy is not None and context.retry_number < policy.max_retries


@contextmanager
def shown_as_failures() -> Iterator[None]:
    """Turns our errors into Dagster's `Failure`; only transient ones may be retried."""
    try:
        yield
    except CommerceError as error:
        raise dg.Failure(
            description=f"{type(error).__name__}: {error}",
            allow_retries=isinstance(error, TransientError),
        ) from error
