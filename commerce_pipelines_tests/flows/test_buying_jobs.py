"""The jobs around buying: a purchase tried from the UI, and pieces that are let go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.flows import price_quote, reservation_release
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines_tests.orders import place_order
from commerce_pipelines_tests.services.erp_prices import PricedErp, rows, sold

STOCK = "INSERT INTO stock_level (variant_id, available, allows_out_of_stock, reserved, as_of) "


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the store at this test's database."""
    wanted = {"POSTGRES_URL": postgres_url, "PRICING_BUDGET_SECONDS": "10"}
    os.environ.update(wanted)
    yield
    for name in wanted:
        del os.environ[name]


class HandMadeErp(dg.ConfigurableResource):  # type: ignore[type-arg]
    """An ERP that is there."""

    is_configured: bool = True

    def open(self, patience_seconds: float | None = None) -> PricedErp:
        """Returns the test's ERP."""
        del patience_seconds
        return ERP[0]


ERP: list[PricedErp] = []


@contextmanager
def erp() -> Iterator[PricedErp]:
    """Has an ERP sell one variant."""
    made = PricedErp()
    made.price("Emug", "9.99")
    made.stock("Emug", 5)
    ERP[:] = [made]
    yield made


def tried(**config: Any) -> dict[str, Any]:
    defs = build_defs(resource_overrides={"erp": HandMadeErp()})
    result = defs.resolve_job_def(price_quote.NAME).execute_in_process(
        run_config={"ops": {"quote_price": {"config": config}}}, raise_on_error=False
    )
    assert result.success
    (output,) = result.filter_events(lambda event: event.is_successful_output)
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def test_a_purchase_is_tried_check_by_check_and_no_cart_is_changed(engine: Engine) -> None:
    sold(engine, "mug")
    with erp():
        told = tried(variant="sku-mug", quantity=3)

        assert list(told) == ["variant", "company", "stock", "price", "may be added"]
        assert told["may be added"] is True
        assert "5 are left" in told["stock"]
        assert "9.99 EUR each" in told["price"]
        assert "2997" in told["price"]
        assert rows(engine, "SELECT count(*) FROM cart") == [(0,)]


@pytest.mark.parametrize(
    ("config", "last"),
    [
        ({"variant": "none"}, ("variant", "There is no variant none.")),
        ({"variant": "v-mug", "quantity": 6}, ("stock", "6 pieces of mug are wanted; 5 are left.")),
        ({"variant": "v-mug", "currency_code": "CHF"}, ("price", "mug has no price in CHF.")),
    ],
)
def test_a_refusal_is_a_result_and_the_last_check(
    engine: Engine, config: dict[str, Any], last: tuple[str, str]
) -> None:
    sold(engine, "mug")
    with erp():
        told = tried(**config)

    assert told.pop("may be added") is False
    assert list(told.items())[-1] == last


def test_pieces_of_a_cancelled_order_are_let_go_by_a_run(engine: Engine) -> None:
    with engine.begin() as connection:
        place_order(connection)
        connection.execute(text(f"{STOCK} VALUES ('variant_1', 5, false, 2, now())"))
    assert isinstance(_look(), dg.SkipReason)
    with engine.begin() as connection:
        connection.execute(text("UPDATE store_order SET status = 'cancelled'"))

    assert isinstance(_look(), dg.RunRequest)
    result = build_defs().resolve_job_def(reservation_release.NAME).execute_in_process()

    assert result.success
    assert rows(engine, "SELECT reserved FROM stock_level") == [(0,)]
    assert isinstance(_look(), dg.SkipReason)


def _look() -> Any:
    resources = {"store": StoreResource()}
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(instance=instance, resources=resources) as context,
    ):
        return reservation_release.sensor(context)
