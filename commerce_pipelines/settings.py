"""Every environment variable the project reads, named once.

Belongs here: names, defaults, units and reasons of settings. Does not belong
here: what is done with them. Nothing else in the project reads the environment.

Order of precedence: the environment, then `stack.json` in the home directory,
which `commerce-pipelines up` writes so that commands in another terminal find
the running stack.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from commerce_pipelines.errors import ConfigurationError

STACK_FILE = "stack.json"
DEFAULT_HOME = ".commerce"


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is no time zone (IANA, as Europe/Berlin)") from error
    return name


class Settings(BaseSettings):
    """The settings of one process; frozen, secrets masked in its repr."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    commerce_home: Path = Field(
        Path(DEFAULT_HOME), description="Directory with everything a local stack keeps."
    )
    postgres_url: SecretStr | None = Field(
        None, description="The store, `postgresql://user:password@host/database`."
    )
    sanity_url: str | None = Field(
        None, description="Base address of Sanity's API; default is the project's hosted one."
    )
    sanity_project_id: str | None = Field(None, description="Sanity project.")
    sanity_dataset: str = Field("production", description="Sanity dataset.")
    sanity_secret_token: SecretStr | None = Field(
        None, description="Sanity API token with write access."
    )
    sanity_mutations_per_second: int = Field(
        25, gt=0, description="Mutation requests a second, all processes together (Sanity's limit)."
    )
    sanity_patience_seconds: float = Field(
        30.0, ge=0, description="How long an import repeats a request that Sanity does not answer."
    )
    brands_url: str | None = Field(None, description="Base address of the brand system.")
    brands_api_key: SecretStr | None = Field(None, description="API key of the brand system.")
    brand_sync_minutes: int = Field(
        1, gt=0, description="How often the brand system is asked what changed there."
    )
    erp_kind: Literal["rest", "tryton"] = Field(
        "rest", description="Which ERP: `rest` for our reference contract, or `tryton`."
    )
    erp_url: str | None = Field(
        None, description="Base address of the ERP; of Tryton with the database, `https://host/db`."
    )
    erp_api_key: SecretStr | None = Field(None, description="API key of the ERP.")
    erp_shop: str | None = Field(
        None, description="Tryton only: name of the web shop that our orders belong to."
    )
    erp_requests_per_second: int = Field(
        50, gt=0, description="Requests to the ERP a second, all processes together."
    )
    erp_patience_seconds: float = Field(
        30.0, ge=0, description="How long a job repeats a request that the ERP does not answer."
    )
    shop_time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "UTC", description="Time zone of the shop's days (IANA, `Europe/Berlin`)."
    )
    erp_sync_cron: str = Field(
        "0 0 * * *", description="When the ERP's products are synced, in `SHOP_TIME_ZONE`."
    )
    order_poll_minutes: int = Field(
        10,
        ge=0,
        description="How often the ERP is asked which orders changed, beside its updates; 0 is "
        "never.",
    )
    reconciliation_start: date = Field(
        date(2026, 1, 1), description="The first day whose orders are reconciled."
    )
    erp_webhook_secret: SecretStr | None = Field(
        None,
        description="Secret of the ERP's webhooks and order updates, `whsec_…`; several "
        "separated by spaces while one is being replaced.",
    )
    price_book_currencies: str | None = Field(
        None,
        description="Currencies that the ERP is asked prices in, `EUR CHF`; without it those of "
        "the store's own prices and open carts.",
    )
    price_book_refresh_seconds: float = Field(
        300.0, gt=0, description="What the ERP said of a variant longer ago is fetched anew."
    )
    price_book_fresh_seconds: float = Field(
        900.0,
        gt=0,
        description="A cart takes what the ERP said up to so long ago; beyond that it is asked.",
    )
    pricing_budget_seconds: float = Field(
        0.8, gt=0, description="How long a cart waits for the ERP, all questions together."
    )
    reservation_minutes: int = Field(
        60,
        gt=0,
        description="An order's pieces are let go after this if its export was given up; while "
        "it is on its way to the ERP they are held.",
    )
    pim_webhook_secret: SecretStr | None = Field(
        None,
        description="Secret of the PIM's webhooks, `whsec_…`; several separated by spaces while "
        "one is being replaced.",
    )
    endpoint_host: str = Field("127.0.0.1", description="Address the endpoint listens on.")
    endpoint_port: int = Field(
        9000, description="Port of the endpoint; the next free one if taken."
    )
    endpoint_unsigned_loopback: bool = Field(
        False,
        description="Take unsigned requests from loopback; `up` and `demo` set it for the sandbox.",
    )
    dagster_port: int = Field(3000, description="Port of Dagster's UI; the next free one if taken.")
    dagster_url: str | None = Field(
        None,
        description="Dagster's UI, asked to start an import at once; without it the sensor does.",
    )
    run_server_port: int | None = Field(
        None,
        description="Port of the run server on loopback, which starts runs at once; without it "
        "Dagster's code server starts them.",
    )
    run_server_secret: SecretStr | None = Field(
        None, description="Secret that a request to the run server must carry; `up` makes one."
    )
    sandbox_port: int = Field(9100, description="Port of the sandbox; the next free one if taken.")
    messages_most_waiting: int = Field(
        1_000_000,
        gt=0,
        description="While so many messages wait, new deliveries are answered with 503.",
    )
    answers_kept_days: int = Field(
        1, gt=0, description="How long an answer is repeated to the same `Idempotency-Key`."
    )
    carts_kept_days: int = Field(
        30, gt=0, description="How long a cart is kept that nobody completes nor touches."
    )
    bodies_kept_days: int = Field(
        30, gt=0, description="How long a message's body is kept after it is done."
    )
    messages_kept_days: int = Field(
        90,
        gt=0,
        description="How long a message is kept after it is done, and a repeated delivery known.",
    )
    steps_kept_days: int = Field(
        30,
        gt=0,
        description="How long the plans, results and before-images of a finished saga are kept.",
    )
    sagas_kept_days: int = Field(
        365, gt=0, description="How long a finished saga is kept, with its events."
    )
    saga_lease_seconds: float = Field(
        30.0, gt=0, description="A saga whose owner is silent for this long is taken over."
    )

    @classmethod
    def load(cls, home: Path | None = None) -> Settings:
        """Reads the settings, of the stack in a home if one is given.

        Raises:
            ConfigurationError: A setting cannot be read.
        """
        try:
            return cls(commerce_home=home) if home else cls()
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            name = str(wrong["loc"][0]).upper() if wrong["loc"] else "A setting"
            raise ConfigurationError(f"{name} is wrong: {wrong['msg']}.") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Reads the environment first, then the running stack's file."""
        del dotenv_settings, file_secret_settings
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        home = given.get("commerce_home") or os.environ.get("COMMERCE_HOME", DEFAULT_HOME)
        stack = JsonConfigSettingsSource(settings_cls, json_file=Path(home) / STACK_FILE)
        return init_settings, env_settings, stack

    @property
    def has_brand_system(self) -> bool:
        """Tells whether there is a brand system at all."""
        return None not in (self.brands_url, self.brands_api_key)

    @property
    def has_erp(self) -> bool:
        """Tells whether there is an ERP at all."""
        return None not in (self.erp_url, self.erp_api_key)

    @property
    def systems(self) -> frozenset[str]:
        """Returns which of the systems there are that can be left away: `brands`, `erp`."""
        known = {"brands": self.has_brand_system, "erp": self.has_erp}
        return frozenset(name for name, is_there in known.items() if is_there)

    def require_postgres_url(self) -> str:
        """Returns the store's address for psycopg 3 under SQLAlchemy.

        Raises:
            ConfigurationError: No store is configured and no stack is running.
        """
        if self.postgres_url is None:
            raise ConfigurationError(
                f"No stack is running in {self.commerce_home}: start `commerce-pipelines up`, "
                "or set POSTGRES_URL."
            )
        return self.postgres_url.get_secret_value()
