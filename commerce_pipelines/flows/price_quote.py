"""`price_quote`: what a cart would say to some pieces of a variant, tried from the UI.

Starts by hand. Does what the endpoint does before it adds a line, check by check, and
changes no cart; what the ERP answers goes into the price book, as always. What fails it:
nothing but a store or an ERP that cannot be asked; a refusal is a result. May run beside
everything.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from commerce_pipelines.flows.failures import shown_as_failures
from commerce_pipelines.flows.resources import ErpResource, StoreResource
from commerce_pipelines.services.enquiries import Enquiries
from commerce_pipelines.services.quoting import Check, Purchase, try_purchase

NAME = "price_quote"
LONGEST_RUN_SECONDS = 300


class QuoteConfig(dg.Config):
    """What to try."""

    variant: str = Field(description="Id of a variant in the store, or its SKU.")
    quantity: int = Field(1, ge=1, description="Pieces.")
    currency_code: str = Field("EUR", description="ISO 4217.")
    customer_id: str = Field("", description="Id of a customer; nobody in particular without one.")


@dg.op
def quote_price(
    context: dg.OpExecutionContext, config: QuoteConfig, store: StoreResource, erp: ErpResource
) -> None:
    """Goes through the checks in their order and says what each one found."""
    settings = store.settings
    purchase = Purchase(
        config.variant, config.quantity, config.currency_code, config.customer_id or None
    )
    enquiries = Enquiries(
        store.engine,
        erp.open(patience_seconds=0.0) if erp.is_configured else None,
        budget_seconds=settings.pricing_budget_seconds,
        fresh_seconds=settings.price_book_fresh_seconds,
    )
    try:
        with shown_as_failures():
            checks = try_purchase(enquiries, purchase)
    finally:
        enquiries.close()
    for check in checks:
        context.log.info("%s: %s", check.name, check.told)
    context.add_output_metadata(_metadata(checks))


def _metadata(checks: list[Check]) -> dict[str, Any]:
    told: dict[str, Any] = {check.name: check.told for check in checks}
    return {**told, "may be added": checks[-1].passed}


@dg.job(
    name=NAME,
    description=__doc__,
    executor_def=dg.in_process_executor,
    tags={"flow": NAME, "owner": "team:commerce", "dagster/max_runtime": LONGEST_RUN_SECONDS},
)
def job() -> None:
    """The quote."""
    quote_price()
