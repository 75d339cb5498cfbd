"""Who may use the brand system, and how often.

Belongs here: the API key, the rate. Does not belong here: what is asked for.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyHeader

from commerce_pipelines.sandbox.brands import errors
from commerce_pipelines.sandbox.rate import Rate

REQUESTS_PER_SECOND = 10

_KEY = APIKeyHeader(
    name="X-Api-Key",
    scheme_name="ApiKey",
    description="The caller's key; 401 without it.",
    auto_error=False,
)


class Access:
    """Checks every request.

    Args:
        api_key: The only key; it may do everything.
        limited: Whether the rate is kept.
    """

    def __init__(self, api_key: str, *, limited: bool = True) -> None:
        self._api_key = api_key.encode()
        self._rate = Rate(REQUESTS_PER_SECOND) if limited else None

    async def __call__(self, api_key: Annotated[str | None, Security(_KEY)]) -> None:
        """Lets a request in.

        Raises:
            BrandsError: It lacks the key, or is one too many within a second.
        """
        if api_key is None or not hmac.compare_digest(api_key.encode(), self._api_key):
            raise errors.unauthorised()
        if self._rate is not None and not self._rate.take():
            raise errors.rate_limited(REQUESTS_PER_SECOND)
