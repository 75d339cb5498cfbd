"""Who may use the ERP, and how often.

Belongs here: the API key, the rate. Does not belong here: what is asked for.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from commerce_pipelines.sandbox.erp import errors
from commerce_pipelines.sandbox.rate import Rate

REQUESTS_PER_SECOND = 50

_BEARER = HTTPBearer(
    scheme_name="Bearer", description="The caller's key; 401 without it.", auto_error=False
)
_KEY = APIKeyHeader(
    name="X-Api-Key", scheme_name="ApiKey", description="The same key.", auto_error=False
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

    async def __call__(
        self,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
        api_key: Annotated[str | None, Security(_KEY)],
    ) -> None:
        """Lets a request in.

        Raises:
            ErpError: It lacks the key, or is one too many within a second.
        """
        given = api_key if bearer is None else bearer.credentials
        if given is None or not hmac.compare_digest(given.encode(), self._api_key):
            raise errors.unauthorised()
        if self._rate is not None and not self._rate.take():
            raise errors.rate_limited(REQUESTS_PER_SECOND)
