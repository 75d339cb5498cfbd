"""Who may use the Sanity imitation, and how often.

Belongs here: token, project, dataset, the mutation rate. Does not belong here:
what a reader without a token sees.
Facts: sanity.io/docs, "Technical limits".
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from fastapi import Request

from commerce_pipelines.sandbox.rate import Rate
from commerce_pipelines.sandbox.sanity import errors

MUTATIONS_PER_SECOND = 25


class Access:
    """Checks every request.

    Args:
        project_id: The only project.
        dataset: The only dataset.
        token: The only token; it may do everything.
        limited: Whether the mutation rate is kept.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        project_id: str,
        dataset: str,
        token: str,
        *,
        limited: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project_id = project_id
        self._dataset = dataset
        self._token = token
        self._rate = Rate(MUTATIONS_PER_SECOND, clock) if limited else None

    def check(self, request: Request, dataset: str) -> bool:
        """Tells whether the request carries the token; False is a reader of public documents.

        Raises:
            SanityError: Its token, project or dataset is not known here.
        """
        project_id = request.headers.get("x-sanity-project-id", self._project_id)
        if project_id != self._project_id:
            raise errors.plain(404, "Not Found", f'Project "{project_id}" not found')
        known = self._is_known(request.headers.get("authorization"))
        if dataset != self._dataset:
            message = f'Dataset "{dataset}" not found for project ID "{project_id}"'
            raise errors.plain(404, "Not Found", message)
        return known

    def _is_known(self, authorization: str | None) -> bool:
        if authorization is None:
            return False
        if not hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode()):
            raise errors.unauthorised()
        return True

    def count_mutation(self) -> None:
        """Counts a mutation request.

        Raises:
            SanityError: It is one too many within a second; it is not counted then.
        """
        if self._rate is not None and not self._rate.take():
            raise errors.rate_limited(MUTATIONS_PER_SECOND)
