"""The checks of the price book: what is missing, unreadable or cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine

from commerce_pipelines_tests.flows.price_book_ground import configured_for, execute, selling_erp
from commerce_pipelines_tests.services.erp_prices import PricedErp, change


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the resources at this test's store; nobody else is asked."""
    with configured_for(postgres_url):
        yield


@pytest.fixture
def erp(engine: Engine) -> PricedErp:
    """An ERP that sells two variants of ours."""
    return selling_erp(engine)


def checked(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Returns what the checks said, by name."""
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_every_run_ends_with_the_checks_and_their_numbers(
    erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    found = checked(execute(erp, instance))

    assert all(check.passed for check in found.values())
    assert found["prices_cover_variants"].metadata["priced_percent"].value == 100.0
    assert found["stock_covers_variants"].metadata["variants"].value == 2
    assert found["only_known_currencies"].metadata["EUR"].value == 2


def test_checks_say_what_is_missing_unreadable_or_no_currency(
    engine: Engine, erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    del erp.levels["Eb"]
    erp.unreadable["Ea"] = "its amount is a word"
    change(
        engine,
        """INSERT INTO price_book (variant_id, currency_code, min_quantities, amounts, as_of)
           VALUES ('v-b', 'XXY', '{1}', '{1}', now())""",
    )

    found = checked(execute(erp, instance))

    failed = {name: check.severity.value for name, check in found.items() if not check.passed}
    assert failed == {
        "only_known_currencies": "ERROR",
        "answers_are_readable": "WARN",
        "stock_covers_variants": "WARN",
        "prices_cover_variants": "WARN",
    }
    assert found["stock_covers_variants"].description == "1 of 2 variants are missing."
    assert found["only_known_currencies"].description == "No currencies: XXY."
    faults: Any = found["answers_are_readable"].metadata["faults"].value
    assert faults[0]["reason"] == "price in EUR: its amount is a word"


def test_a_price_below_nothing_is_found_though_the_table_refuses_it(
    engine: Engine, erp: PricedErp, instance: dg.DagsterInstance
) -> None:
    assert execute(erp, instance).success
    change(engine, "ALTER TABLE price_book DROP CONSTRAINT price_book_not_negative")
    change(engine, "UPDATE price_book SET amounts = '{1, -1}', min_quantities = '{1, 2}'")

    found = checked(execute(erp, instance))

    assert not found["no_negative_price"].passed
    assert found["no_negative_price"].metadata["negative"].value == 2
