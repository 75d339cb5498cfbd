"""How our errors show in Dagster: one sentence that says what happened and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from commerce_pipelines.errors import CommerceError, TransientError


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
