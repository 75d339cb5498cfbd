"""Asset checks of the price book: run with every refresh, their numbers plotted by Dagster.

What fails them: a negative price, a currency that does not exist. What only warns:
variants that the ERP knows and the price book does not, and answers that could not be
read. That the word is not too old is told by `health`, also when no refresh comes.
"""

from typing import Final

import dagster as dg

from commerce_pipelines.domain.money import currency_code
from commerce_pipelines.flows.price_book_refresh import PRICE_BOOK, STOCK_LEVELS
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.store import price_book_figures as figures

# A few that the ERP does not know any more are no reason to wake anybody.
LEAST_COVERED_PERCENT: Final = 99.0
MOST_TOLD: Final = 20


@dg.asset_check(asset=PRICE_BOOK, description="No price is negative.")
def no_negative_price(store: StoreResource) -> dg.AssetCheckResult:
    """Counts negative prices."""
    with store.engine.connect() as connection:
        negative = figures.count_negative(connection)
    return dg.AssetCheckResult(passed=negative == 0, metadata={"negative": negative})


@dg.asset_check(asset=PRICE_BOOK, description="All prices are in currencies of ISO 4217.")
def only_known_currencies(store: StoreResource) -> dg.AssetCheckResult:
    """Counts prices by currency."""
    with store.engine.connect() as connection:
        counts = figures.prices_by_currency(connection)
    unknown = [code for code in counts if not _is_currency(code)]
    return dg.AssetCheckResult(
        passed=not unknown,
        description=f"No currencies: {', '.join(unknown[:MOST_TOLD])}." if unknown else None,
        metadata={"currencies": len(counts), "unknown": len(unknown), **counts},
    )


@dg.asset_check(asset=PRICE_BOOK, description="All that the ERP answered could be read.")
def answers_are_readable(store: StoreResource) -> dg.AssetCheckResult:
    """Counts variants of which something could not be read."""
    with store.engine.connect() as connection:
        faulty = figures.load_contents(connection).faulty
        told = figures.list_faults(connection, MOST_TOLD)
    return dg.AssetCheckResult(
        passed=faulty == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{faulty} variants keep what the ERP said of them before." if faulty else None,
        metadata={"faulty": faulty, "faults": dg.MetadataValue.json(told)},
    )


@dg.asset_check(
    asset=PRICE_BOOK,
    description="Variants of the ERP have a price, or are known to be not for sale.",
)
def prices_cover_variants(store: StoreResource) -> dg.AssetCheckResult:
    """Counts variants with a price."""
    with store.engine.connect() as connection:
        coverage = figures.load_coverage(connection)
    numbers = {"priced": coverage.priced, "not_for_sale": coverage.not_for_sale}
    return _covered(coverage.variants, sum(numbers.values()), numbers)


@dg.asset_check(asset=STOCK_LEVELS, description="Variants of the ERP have a row of stock.")
def stock_covers_variants(store: StoreResource) -> dg.AssetCheckResult:
    """Counts variants with stock."""
    with store.engine.connect() as connection:
        coverage = figures.load_coverage(connection)
    return _covered(coverage.variants, coverage.stocked, {"stocked": coverage.stocked})


def _covered(variants: int, covered: int, numbers: dict[str, int]) -> dg.AssetCheckResult:
    percent = {
        f"{name}_percent": round(100 * count / variants, 2) if variants else 100.0
        for name, count in {"covered": covered, **numbers}.items()
    }
    missing = variants - covered
    return dg.AssetCheckResult(
        passed=percent["covered_percent"] >= LEAST_COVERED_PERCENT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{missing} of {variants} variants are missing." if missing else None,
        metadata={"variants": variants, "missing": missing, **numbers, **percent},
    )


def _is_currency(code: str) -> bool:
    try:
        return currency_code(code) == code
    except ValueError:
        return False


asset_checks: Final = [
    no_negative_price,
    only_known_currencies,
    answers_are_readable,
    prices_cover_variants,
    stock_covers_variants,
]
