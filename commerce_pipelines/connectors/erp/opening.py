"""Which ERP is meant by a setting.

Belongs here: one name a kind. Does not belong here: what each does (its adapter).
"""

from __future__ import annotations

from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import ConfigurationError


def open_erp(
    *,
    kind: str,
    url: str,
    api_key: str,
    shop: str | None,
    budget: RateBudget,
    retry: RetryPolicy | None = None,
    timeout_seconds: float = 30.0,
    breaker: Breaker | None = None,
) -> Erp:
    """Returns an ERP with a session of its own; connects when first used.

    Args:
        kind: `rest` or `tryton`.
        url: Base address; of Tryton with the database.
        api_key: Its key.
        shop: Tryton's web shop that our orders belong to.
        budget: What every request takes from.
        retry: How requests are repeated.
        timeout_seconds: How long an answer may take to begin, and then to end.
        breaker: Keeps requests back while it fails; one of its own if not given.

    Raises:
        ConfigurationError: There is no such kind, a setting is missing, or the address
            or the key cannot be used.
    """
    if kind == "rest":
        return RestErp.open(
            url=url,
            api_key=api_key,
            budget=budget,
            retry=retry,
            timeout_seconds=timeout_seconds,
            breaker=breaker,
        )
    if kind != "tryton":
        raise ConfigurationError(f"There is no ERP of the kind {kind!r}.")
    if shop is None:
        raise ConfigurationError("Set ERP_SHOP to the name of Tryton's web shop.")
    return _open_tryton(url, api_key, shop, budget, retry, timeout_seconds, breaker)


def _open_tryton(  # noqa: PLR0917
    url: str,
    api_key: str,
    shop: str,
    budget: RateBudget,
    retry: RetryPolicy | None,
    timeout_seconds: float,
    breaker: Breaker | None,
) -> Erp:
    # Whoever has no Tryton needs none of it.
    from commerce_pipelines.connectors.erp.tryton import Tryton  # noqa: PLC0415

    return Tryton.open(
        url=url,
        api_key=api_key,
        shop=shop,
        budget=budget,
        retry=retry,
        read_timeout_seconds=timeout_seconds,
        breaker=breaker,
    )
