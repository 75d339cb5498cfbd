"""How a cart is read."""

from __future__ import annotations

from sqlalchemy import Engine, text

from commerce_pipelines.store.carts import create_cart, lock_cart
from commerce_pipelines_tests.services.erp_prices import sold_many

KEPT = """
    SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE '%price_book%'"""


def test_how_an_offer_is_found_is_planned_a_few_times_and_then_known(engine: Engine) -> None:
    sold_many(engine, 200)
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        cart_id = create_cart(connection, "EUR", {})
        for number in range(1, 21):
            cart, _ = lock_cart(connection, cart_id, variant_id=f"v-{number}")
            assert cart is not None
            assert list(cart.offers) == [f"v-{number}"]

        assert connection.execute(text(KEPT)).scalar_one() > 5
