"""Why a buyer's wish is declined, for programs; a person reads the sentence beside it."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Why something is declined, for programs."""

    VARIANT_NOT_FOUND = "variant_not_found"
    NO_LONGER_SOLD = "no_longer_sold"
    COMPANY_MAY_NOT_BUY = "company_may_not_buy"
    OUT_OF_STOCK = "out_of_stock"
    NO_PRICE = "no_price"
    QUANTITY_TOO_LARGE = "quantity_too_large"
    TOTAL_TOO_LARGE = "total_too_large"
    TOO_MANY_LINES = "too_many_lines"
    CART_EMPTY = "cart_empty"
    CART_INCOMPLETE = "cart_incomplete"
    CART_COMPLETED = "cart_completed"
    PRICE_CHANGED = "price_changed"
    CUSTOMER_NOT_FOUND = "customer_not_found"
    KEY_REUSED = "key_reused"
    DELIVERY_REPEATED = "delivery_repeated"
