"""What commands work on: settings, the store, the CMS; opened when needed, closed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from commerce_pipelines.connectors.brands import BrandSystem
    from commerce_pipelines.connectors.erp.port import Erp
    from commerce_pipelines.connectors.sanity import Sanity
    from commerce_pipelines.services.operations import Desk
    from commerce_pipelines.settings import Settings

PATIENCE_SECONDS = 5.0


@contextmanager
def open_store(home: Path | None) -> Iterator[tuple[Settings, Engine]]:
    """Opens the store of the stack in a home, or the one that the environment names.

    Raises:
        ConfigurationError: There is neither.
    """
    from commerce_pipelines.settings import Settings
    from commerce_pipelines.store.engine import connect

    settings = Settings.load(home)
    engine = connect(settings.require_postgres_url(), application="commerce-pipelines")
    try:
        yield settings, engine
    finally:
        engine.dispose()


@contextmanager
def open_desk(home: Path | None, *, with_systems: bool = False) -> Iterator[Desk]:
    """Opens what a person's commands look at.

    Args:
        home: The stack's directory.
        with_systems: Whether other systems are read too; they are only asked, never changed.
    """
    from commerce_pipelines.services.areas import waited_for
    from commerce_pipelines.services.operations import Desk

    with open_store(home) as (settings, engine):
        sanity = _open_sanity(settings) if with_systems else None
        brand_system = _open_brand_system(settings) if with_systems else None
        erp = _open_erp(settings) if with_systems else None
        try:
            yield Desk(
                engine,
                sanity,
                settings.dagster_url,
                brand_system,
                erp,
                areas=waited_for(settings.systems),
                fresh_seconds=settings.price_book_fresh_seconds if settings.has_erp else None,
            )
        finally:
            for opened in (sanity, brand_system, erp):
                if opened is not None:
                    opened.close()


def _open_sanity(settings: Settings) -> Sanity | None:
    from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
    from commerce_pipelines.connectors.retry import RetryPolicy
    from commerce_pipelines.connectors.sanity import Sanity

    if settings.sanity_project_id is None or settings.sanity_secret_token is None:
        return None
    return Sanity.open(
        url=settings.sanity_url,
        project_id=settings.sanity_project_id,
        dataset=settings.sanity_dataset,
        token=settings.sanity_secret_token.get_secret_value(),
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=PATIENCE_SECONDS),
    )


def _open_brand_system(settings: Settings) -> BrandSystem | None:
    from commerce_pipelines.connectors.brands import BrandSystem
    from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
    from commerce_pipelines.connectors.retry import RetryPolicy

    if settings.brands_url is None or settings.brands_api_key is None:
        return None
    return BrandSystem.open(
        url=settings.brands_url,
        api_key=settings.brands_api_key.get_secret_value(),
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=PATIENCE_SECONDS),
    )


def _open_erp(settings: Settings) -> Erp | None:
    from commerce_pipelines.connectors.erp.opening import open_erp
    from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
    from commerce_pipelines.connectors.retry import RetryPolicy

    lacks_shop = settings.erp_kind == "tryton" and settings.erp_shop is None
    if settings.erp_url is None or settings.erp_api_key is None or lacks_shop:
        return None
    return open_erp(
        kind=settings.erp_kind,
        url=settings.erp_url,
        api_key=settings.erp_api_key.get_secret_value(),
        shop=settings.erp_shop,
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=PATIENCE_SECONDS),
    )
