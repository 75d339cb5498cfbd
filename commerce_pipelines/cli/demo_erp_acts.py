"""The acts of the demo with the ERP: its products and prices, a sale, a reconciliation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from commerce_pipelines.cli.demo_acts import Check
from commerce_pipelines.cli.demo_dagster import PARTITION_TAG, check_passed, numbers_of, run_job
from commerce_pipelines.cli.demo_erp import Erp, Store
from commerce_pipelines.cli.demo_shop import Shop

TIERED_SKU = "HEA-1009-WHI"
TIERS = {1: "9.8975", 10: "8.9125"}
UPDATED = "Demo Updated"
BUYER, FORBIDDEN_BUYER = "ACME", "Globex"
GROUP_PRICE, GROUP_TOTAL_MINOR = "9.0338", 1807
FORBIDDEN_SKU, SOLD_OUT_SKU = "SEN-1024-16", "PIN-1006-WID"
REPORT = ["reports", "order_reconciliation"]


def bring_the_erps_word(shop: Shop) -> Iterator[Check]:
    """The ERP's products and prices come in; a change that it does not take is undone."""
    erp, store = Erp(shop), Store(shop)
    count = len(shop.store_titles())
    run_job(shop, "erp_product_sync")
    yield Check("products in the store, none of them twice", count, len(shop.store_titles()))
    run_job(shop, "price_book_refresh")
    product, variant = store.variant(TIERED_SKU)
    for quantity, price in TIERS.items():
        seen = store.unit_price(variant, "EUR", quantity)
        yield Check(f"the ERP's price of one of {quantity}, EUR", price, seen)
    title = product["title"]
    erp.break_writes()
    answer = store.ask(f"products/{product['id']}/erp", {"title": UPDATED})
    yield Check("a change while the ERP is away: answered", 503, answer["status"])
    shop.mend()

    def undone() -> str | None:
        seen: str = store.product(product["id"])["title"]
        return seen if seen == title else None

    yield Check("… and undone in the store", title, shop.wait_for("the undo", undone))
    answer = store.ask(f"products/{product['id']}/erp", {"title": UPDATED})
    yield Check("the same change again: in the store", UPDATED, answer["product"]["title"])
    there = erp.product_titled(UPDATED)
    yield Check("… and in the ERP", answer["erp"]["external_id"], there and there["id"])


def sell(shop: Shop) -> Iterator[Check]:
    """A customer buys at the ERP's price; what may not be sold is declined; it is shipped."""
    erp, store = Erp(shop), Store(shop)
    cart_id = store.cart_of(BUYER)
    _, variant = store.variant(TIERED_SKU)
    (line,) = store.add(cart_id, variant, 2)["cart"]["lines"]
    yield Check(f"{BUYER}'s own price of one, EUR", GROUP_PRICE, line["unit_price"])
    yield Check("two of them, in cents, rounded once", GROUP_TOTAL_MINOR, line["total_minor"])
    _, forbidden = store.variant(FORBIDDEN_SKU)
    declined = store.add(store.cart_of(FORBIDDEN_BUYER), forbidden, 1)
    yield Check("a company that may not buy it", "company_may_not_buy", declined["code"])
    _, sold_out = store.variant(SOLD_OUT_SKU)
    declined = store.add(cart_id, sold_out, 1)
    yield Check("a variant that is sold out", "out_of_stock", declined["code"])
    order = store.complete(cart_id)
    exported = store.order_if(order["id"], lambda seen: seen["sync"]["state"] == "exported")
    seen = shop.wait_for("the order in the ERP", exported)
    there = erp.orders_under(order["id"])
    yield Check("the order in the ERP, once", [seen["erp_id"]], [each["id"] for each in there])
    yield Check("its status there", "confirmed", there[0]["status"])
    erp.ship(there[0])
    shipped = store.order_if(order["id"], lambda seen: seen["status"] == "shipped")
    seen = shop.wait_for("the status of the order", shipped)
    yield Check("shipped there: its status in the store", "shipped", seen["status"])


def reconcile_yesterday(shop: Shop) -> Iterator[Check]:
    """Yesterday's orders are compared; one that only the ERP has is found."""
    Erp(shop).take_order_by_telephone(ago=timedelta(days=1))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    run_job(shop, "order_reconciliation", {PARTITION_TAG: yesterday})
    numbers = numbers_of(shop, REPORT, yesterday)
    yield Check("orders of yesterday in the ERP", 1, numbers["orders there"])
    yield Check("of these missing in the store", 1, numbers["missing_in_store"])
    passed = check_passed(shop, REPORT, "nothing_differs")
    yield Check("the check in Dagster's UI is green", False, passed)


ERP_ACTS = {
    "5. The ERP's products and prices": bring_the_erps_word,
    "6. A customer buys": sell,
    "7. Yesterday is reconciled": reconcile_yesterday,
}
