"""The resources of the ops: they read the settings and hand out plain objects.

They take no configuration of their own, so no address and no secret can appear
in a run's config or in the UI. Nothing connects before it is used.
"""

from functools import partial
from typing import Any, Final

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy import Engine

from commerce_pipelines.connectors.brands import REQUESTS_PER_SECOND, BrandSystem
from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.erp.opening import open_erp
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.on_demand import on_demand
from commerce_pipelines.connectors.rate_budget import SharedRateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.recovery import compensator
from commerce_pipelines.settings import Settings
from commerce_pipelines.store.engine import connect, libpq_url

BRANDS_PATIENCE_SECONDS = 30.0
# The resources of the systems in which sagas have effects, as `recovery.compensator` takes them.
SYSTEMS: Final = ("sanity", "brands", "erp")


class StoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The store and its ledger."""

    _engine: Engine = PrivateAttr()
    _settings: Settings = PrivateAttr()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Prepares a pool of connections; none is opened yet."""
        del context
        self._settings = Settings()
        self._engine = connect(self._settings.require_postgres_url(), application="dagster")

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Closes the pool."""
        del context
        self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """Returns the pool."""
        return self._engine

    @property
    def settings(self) -> Settings:
        """Returns the settings of this process."""
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """Returns the ledger of sagas."""
        return Ledger(self._engine, self._settings.saga_lease_seconds)


class SanityResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The CMS, within one budget of mutations a second that all processes share."""

    _budget: SharedRateBudget = PrivateAttr()
    _settings: Settings = PrivateAttr()
    _opened: list[Sanity] = PrivateAttr(default_factory=list)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Reads the settings; connects to nothing yet."""
        del context
        self._settings = Settings()
        self._budget = SharedRateBudget(
            libpq_url(self._settings.require_postgres_url()),
            per_second=self._settings.sanity_mutations_per_second,
        )

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Closes all connections."""
        del context
        for sanity in self._opened:
            sanity.close()
        self._budget.close()

    def open(self, patience_seconds: float | None = None) -> Sanity:
        """Returns the CMS.

        Args:
            patience_seconds: How long a request is repeated while the CMS does not answer;
                as set in the settings if not given.

        Raises:
            ConfigurationError: The project or the token is not set.
        """
        settings = self._settings
        if settings.sanity_project_id is None or settings.sanity_secret_token is None:
            raise ConfigurationError("Set SANITY_PROJECT_ID and SANITY_SECRET_TOKEN.")
        if patience_seconds is None:
            patience_seconds = settings.sanity_patience_seconds
        sanity = Sanity.open(
            url=settings.sanity_url,
            project_id=settings.sanity_project_id,
            dataset=settings.sanity_dataset,
            token=settings.sanity_secret_token.get_secret_value(),
            budget=self._budget,
            retry=RetryPolicy(budget_seconds=patience_seconds),
        )
        self._opened.append(sanity)
        return sanity


class BrandsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The brand system, within one budget of requests a second that all processes share."""

    _budget: SharedRateBudget = PrivateAttr()
    _settings: Settings = PrivateAttr()
    _opened: list[BrandSystem] = PrivateAttr(default_factory=list)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Reads the settings; connects to nothing yet."""
        del context
        self._settings = Settings()
        self._budget = SharedRateBudget(
            libpq_url(self._settings.require_postgres_url()),
            system="brands",
            per_second=REQUESTS_PER_SECOND,
        )

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Closes all connections."""
        del context
        for brand_system in self._opened:
            brand_system.close()
        self._budget.close()

    @property
    def is_configured(self) -> bool:
        """Tells whether there is a brand system at all."""
        return self._settings.has_brand_system

    def open(self, patience_seconds: float | None = None) -> BrandSystem:
        """Returns the brand system.

        Args:
            patience_seconds: How long a request is repeated while it does not answer;
                `BRANDS_PATIENCE_SECONDS` if not given.

        Raises:
            ConfigurationError: Its address or its key is not set.
        """
        settings = self._settings
        if settings.brands_url is None or settings.brands_api_key is None:
            raise ConfigurationError("Set BRANDS_URL and BRANDS_API_KEY.")
        if patience_seconds is None:
            patience_seconds = BRANDS_PATIENCE_SECONDS
        brand_system = BrandSystem.open(
            url=settings.brands_url,
            api_key=settings.brands_api_key.get_secret_value(),
            budget=self._budget,
            retry=RetryPolicy(budget_seconds=patience_seconds),
        )
        self._opened.append(brand_system)
        return brand_system


class ErpResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The ERP, within one budget of requests a second that all processes share."""

    _budget: SharedRateBudget = PrivateAttr()
    _settings: Settings = PrivateAttr()
    _breaker: Breaker = PrivateAttr()
    _opened: list[Erp] = PrivateAttr(default_factory=list)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Reads the settings; connects to nothing yet."""
        del context
        self._settings = Settings()
        self._breaker = Breaker("The ERP")
        self._budget = SharedRateBudget(
            libpq_url(self._settings.require_postgres_url()),
            system="erp",
            per_second=self._settings.erp_requests_per_second,
        )

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Closes all connections."""
        del context
        for erp in self._opened:
            erp.close()
        self._budget.close()

    @property
    def is_configured(self) -> bool:
        """Tells whether there is an ERP at all."""
        return self._settings.has_erp

    def open(self, patience_seconds: float | None = None) -> Erp:
        """Returns the ERP.

        Args:
            patience_seconds: How long a request is repeated while it does not answer; as
                set in the settings if not given.

        Raises:
            ConfigurationError: Its address or its key is not set.
        """
        settings = self._settings
        if settings.erp_url is None or settings.erp_api_key is None:
            raise ConfigurationError("Set ERP_URL and ERP_API_KEY.")
        if patience_seconds is None:
            patience_seconds = settings.erp_patience_seconds
        erp = open_erp(
            kind=settings.erp_kind,
            url=settings.erp_url,
            api_key=settings.erp_api_key.get_secret_value(),
            shop=settings.erp_shop,
            budget=self._budget,
            retry=RetryPolicy(budget_seconds=patience_seconds),
            breaker=self._breaker,
        )
        self._opened.append(erp)
        return erp


def opened_compensator(resources: Any, patience_seconds: float | None = None) -> Compensator:
    """Returns what undoes every kind of saga.

    A system is opened when there is something to undo in it, so one that is not configured
    parks its own sagas only.

    Args:
        resources: Of an op or a hook that requires `store` and `SYSTEMS`.
        patience_seconds: How long a request is repeated while a system does not answer;
            as long as in an op if not given.
    """
    systems = (
        on_demand(partial(getattr(resources, name).open, patience_seconds)) for name in SYSTEMS
    )
    return compensator(resources.store.ledger, *systems)
